//! What passes, in a few numbers: for the status, whose readers have no Prometheus at hand.

use std::collections::BTreeMap;

use serde::Serialize;

use super::labels::ClassLabel;
use super::registry::Registry;
use crate::terms::Side;

/// Requests so far by side and class, what is held, and what was refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Traffic {
    /// Requests sent to the source, by class.
    pub source: BTreeMap<&'static str, u64>,
    /// Requests sent to the target, by class.
    pub target: BTreeMap<&'static str, u64>,
    /// Requests that wait behind a closed gate.
    pub held: u64,
    /// Writes refused, by listener and command; the most frequent first.
    pub refused: Vec<RefusedCommand>,
}

/// How often a listener refused a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedCommand {
    /// The listener's name.
    pub listener: String,
    /// The command, or `other`.
    pub command: String,
    /// How often.
    pub count: u64,
}

impl Registry {
    /// What has passed so far. As cheap as a part of a scrape.
    pub fn traffic(&self) -> Traffic {
        let of = |side: Side| {
            ClassLabel::ALL.iter().map(move |class| {
                let requests = (0..self.listeners.len()).map(|listener| {
                    self.count(|s| &s.listeners[listener].requests[side.index()][class.index()])
                });
                (class.as_str(), requests.sum())
            })
        };
        Traffic {
            source: of(Side::Source).collect(),
            target: of(Side::Target).collect(),
            held: self.level(|s| &s.held),
            refused: self.refused(),
        }
    }

    fn refused(&self) -> Vec<RefusedCommand> {
        let mut refused = Vec::new();
        for (listener, name) in self.listeners.iter().enumerate() {
            let commands = self.commands.iter().map(String::as_str).chain(["other"]);
            refused.extend(commands.enumerate().filter_map(|(index, command)| {
                let count = self.count(|s| &s.listeners[listener].refused[index]);
                (count > 0).then(|| RefusedCommand {
                    listener: name.clone(),
                    command: command.to_owned(),
                    count,
                })
            }));
        }
        refused.sort_by_key(|refused| std::cmp::Reverse(refused.count));
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::ListenerId;

    #[test]
    fn traffic_is_summed_over_listeners_and_workers() {
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let registry = Registry::new(names(["app", "near"]), names(["get", "set"]), 2);
        let held = registry.shard(0).held();
        registry
            .shard(0)
            .requests(ListenerId(0), Side::Source, ClassLabel::Read, 3);
        registry
            .shard(1)
            .requests(ListenerId(1), Side::Source, ClassLabel::Read, 4);
        registry.shard(0).refused(ListenerId(1), 1);
        registry.shard(1).refused(ListenerId(1), 1);
        registry.shard(1).refused(ListenerId(1), u16::MAX);

        let traffic = registry.traffic();
        assert_eq!(traffic.source["read"], 7);
        assert_eq!(traffic.target["read"], 0);
        assert_eq!(traffic.source.len(), ClassLabel::ALL.len());
        assert_eq!(traffic.held, 1);
        let refused = traffic
            .refused
            .iter()
            .map(|it| (it.listener.as_str(), it.command.as_str(), it.count));
        assert_eq!(
            refused.collect::<Vec<_>>(),
            vec![("near", "set", 2), ("near", "other", 1)]
        );
        drop(held);
        assert_eq!(registry.traffic().held, 0);
    }
}
