//! Rules about a source that is one node of several in an open-source cluster. The proxy serves one server: what the
//! others hold is neither copied nor served, and a node sends clients to them past the proxy.

use super::cluster::Case;
use super::facts::Facts;
use super::{Pair, Verdict};

/// What to do where the rest of the cluster would be left behind.
const WHAT_TO_DO: &str = "this version serves one server as the source: merge the cluster's shards into one master first; or \
     let Redis Enterprise copy all masters (source_url of [link.enterprise]) while the application has stopped writing";

/// For a link that copies one server.
pub(super) fn of_one_server(pair: &Pair<'_>) -> Verdict {
    judge(pair.copied, 1)
}

/// For a target that may be filled from several.
pub(super) fn of_several(case: &Case<'_>) -> Verdict {
    if case.told.source.is_some() {
        return Verdict::ok("the source is a database of Redis Enterprise");
    }
    let sources = case.told.sources.as_ref().map_or(1, Vec::len);
    judge(case.pair.copied, sources)
}

fn judge(copied: &Facts, sources: usize) -> Verdict {
    if copied.info.text("cluster_enabled") != Some("1") {
        return Verdict::ok("the source is no node of an open-source cluster");
    }
    match copied.cluster_masters {
        Some(1) => Verdict::ok("the source is a cluster of one master, which has everything"),
        Some(masters) if masters <= sources => Verdict::warning(
            format!(
                "{} is one of {masters} masters of a cluster: all are copied, and the proxy serves this one alone",
                copied.name
            ),
            "have whatever writes to the cluster come to rest before the cutover: the proxy holds only what passes it, and \
             MOVED leads clients past it",
        ),
        Some(masters) => Verdict::error(
            format!(
                "{} is one of {masters} masters of a cluster: what the others hold would be left behind, and MOVED leads \
                 clients past the proxy",
                copied.name
            ),
            WHAT_TO_DO,
        ),
        None => Verdict::error(
            format!(
                "{} is a node of a cluster, and does not tell how many masters there are",
                copied.name
            ),
            "allow the user in [source] to call CLUSTER INFO",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use crate::link::info::Info;
    use crate::upstream::control::Value;

    #[test]
    fn a_node_is_taken_for_the_whole_only_where_it_is() {
        let facts = |info: &str, cluster_masters| Facts {
            info: Info::from_reply(&Value::Bulk(info.as_bytes().to_vec())),
            cluster_masters,
            ..Facts::default()
        };
        for (info, masters, sources, level) in [
            ("cluster_enabled:0", None, 1, Level::Ok),
            ("", None, 1, Level::Ok),
            ("cluster_enabled:1", Some(1), 1, Level::Ok),
            ("cluster_enabled:1", Some(3), 1, Level::Error),
            ("cluster_enabled:1", Some(3), 2, Level::Error),
            ("cluster_enabled:1", Some(3), 3, Level::Warning),
            ("cluster_enabled:1", None, 3, Level::Error),
        ] {
            let verdict = judge(&facts(info, masters), sources);
            assert_eq!(verdict.level, level, "{info} {masters:?}: {verdict:?}");
        }
    }
}
