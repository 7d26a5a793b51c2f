//! What must be right before a migration. Each check gives ok, a warning or an error, with what to do.
//!
//! Refuses to know: who asks, and whether a warning stops them.

mod capacity;
mod cluster;
mod counters;
mod facts;
mod oss_cluster;
mod others;
mod rights;
mod sameness;
mod setup;
mod users;
mod way_back;

use serde::Serialize;

pub use self::counters::Counter;
use self::facts::Facts;
pub use self::users::{Clients, Entry, User};
use super::{Direction, Driver, Link, enterprise};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It may go wrong, or could not be found out.
    Warning,
    /// It will go wrong.
    Error,
}

/// One check and how it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check, one of a fixed set.
    pub check: &'static str,
    /// How it came out.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What a person can do about it; none where nothing is to be done.
    pub what_to_do: Option<String>,
}

/// Looks at both sides, for those clients.
///
/// Where a side cannot be asked, that is the finding, and what rests on its answers is left out.
pub async fn check(link: &mut Link, direction: Direction, clients: &Clients) -> Vec<Finding> {
    let (copied, filled) = link.connections.pair(direction.from);
    let (copied_facts, filled_facts) = tokio::join!(facts::gather(copied), facts::gather(filled));
    let mut findings = vec![
        reachable("copied_side_reachable", &copied_facts),
        reachable("filled_side_reachable", &filled_facts),
    ];
    let (Ok(copied_facts), Ok(filled_facts)) = (copied_facts, filled_facts) else {
        return findings;
    };
    let pair = Pair {
        copied: &copied_facts,
        filled: &filled_facts,
        sessions: clients.sessions,
    };
    let (of_the_driver, of_all): (&[Rule], &[Rule]) = match &mut link.driver {
        Driver::ReplicaOf => (&REPLICAOF_RULES, &RULES),
        Driver::External(_) => (&EXTERNAL_RULES, &RULES),
        Driver::Enterprise(enterprise) => {
            match enterprise.tell(&copied.server).await {
                Ok(told) => findings.extend(of_the_cluster(&pair, &told)),
                Err(error) => {
                    let what_to_do = "the cluster must answer: check [link.enterprise]";
                    findings.push(Verdict::error(error.to_string(), what_to_do).of("cluster"));
                }
            }
            (&[], &BESIDE_A_CLUSTER)
        }
    };
    for rule in of_the_driver.iter().chain(of_all) {
        let verdict = (rule.judge)(&pair);
        findings.push(verdict.of(rule.name));
    }
    let (copied, filled) = link.connections.pair(direction.from);
    findings.extend(users::check(copied, filled, clients).await);
    findings.extend(counters::check(copied, clients).await);
    findings
}

/// Both sides, as every rule sees them.
struct Pair<'a> {
    copied: &'a Facts,
    filled: &'a Facts,
    sessions: u64,
}

/// A check by its name.
struct Rule {
    name: &'static str,
    judge: fn(&Pair<'_>) -> Verdict,
}

/// What a rule finds.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    level: Level,
    message: String,
    what_to_do: Option<String>,
}

const fn rule(name: &'static str, judge: fn(&Pair<'_>) -> Verdict) -> Rule {
    Rule { name, judge }
}

/// What holds whatever replicates.
const RULES: [Rule; 12] = [
    rule("not_the_same_server", sameness::not_the_same_server),
    rule("oss_cluster", oss_cluster::of_one_server),
    rule("filled_side_empty", setup::filled_side_empty),
    rule("databases", sameness::databases),
    rule("modules", sameness::modules),
    rule("keyspace_events", sameness::keyspace_events),
    rule("memory", capacity::memory),
    rule("eviction", sameness::eviction),
    rule("maxclients", capacity::maxclients),
    rule("clocks", sameness::clocks),
    rule("other_writers", others::on_the_copied_side),
    rule("filled_side_writers", others::on_the_filled_side),
];

/// What holds beside the rules about a cluster, which knows more of its database than the database tells.
const BESIDE_A_CLUSTER: [Rule; 6] = [
    rule("way_back", way_back::by_keys),
    rule("functions", sameness::functions_loaded),
    rule("keyspace_events", sameness::keyspace_events),
    rule("clocks", sameness::clocks),
    rule("other_writers", others::on_the_copied_side),
    rule("filled_side_writers", others::on_the_filled_side),
];

/// What the source's own replication needs, where the source is a server that tells its settings.
const OF_A_SERVER: [Rule; 2] = [
    rule("output_buffer", capacity::output_buffer),
    rule("backlog", capacity::backlog),
];

/// What a replication does not bring that knows only keys.
const EXTERNAL_RULES: [Rule; 2] = [
    rule("functions", sameness::functions_loaded),
    rule("way_back", way_back::by_keys),
];

/// What the servers' own replication needs.
const REPLICAOF_RULES: [Rule; 9] = [
    rule("functions", sameness::functions_replicated),
    rule("versions", sameness::versions),
    rule("way_back", sameness::way_back),
    rule("roles", setup::roles),
    rule("replication_address", setup::replication_address),
    rule("replication_rights", setup::replication_rights),
    rule("fence", setup::fence),
    rule("output_buffer", capacity::output_buffer),
    rule("backlog", capacity::backlog),
];

impl Verdict {
    fn ok(message: impl Into<String>) -> Verdict {
        Verdict {
            level: Level::Ok,
            message: message.into(),
            what_to_do: None,
        }
    }

    fn warning(message: impl Into<String>, what_to_do: impl Into<String>) -> Verdict {
        Verdict {
            level: Level::Warning,
            message: message.into(),
            what_to_do: Some(what_to_do.into()),
        }
    }

    fn error(message: impl Into<String>, what_to_do: impl Into<String>) -> Verdict {
        Verdict {
            level: Level::Error,
            ..Verdict::warning(message, what_to_do)
        }
    }

    fn of(self, check: &'static str) -> Finding {
        Finding {
            check,
            level: self.level,
            message: self.message,
            what_to_do: self.what_to_do,
        }
    }
}

fn of_the_cluster(pair: &Pair<'_>, told: &enterprise::Findings) -> Vec<Finding> {
    let case = cluster::Case { pair, told };
    let of_a_server: &[Rule] = match told.source {
        Some(_) => &[],
        None => &OF_A_SERVER,
    };
    let by_the_cluster = cluster::RULES
        .iter()
        .map(|(name, judge)| judge(&case).of(name));
    let by_the_server = of_a_server
        .iter()
        .map(|rule| (rule.judge)(pair).of(rule.name));
    by_the_cluster.chain(by_the_server).collect()
}

fn reachable(
    check: &'static str,
    facts: &Result<Facts, crate::upstream::control::Error>,
) -> Finding {
    let verdict = match facts {
        Ok(facts) => Verdict::ok(format!("{} answers", facts.name)),
        Err(error) => Verdict::error(
            error.to_string(),
            "check the address, the credentials and the server",
        ),
    };
    verdict.of(check)
}
