//! The compatibility report as prose.

use std::fmt::Write;

use crate::cli::view::{Report, Sender};

/// `report`: the warnings first, the errors last, where the eye is.
pub(in crate::cli) fn report(report: &Report) -> String {
    let mut text = String::new();
    for finding in report.findings.iter().rev() {
        let accepted = if finding.accepted { ", accepted" } else { "" };
        let _ = writeln!(
            text,
            "{:7}  {} ({} times{accepted}): {}",
            finding.severity, finding.name, finding.count, finding.message
        );
        let _ = writeln!(text, "{:7}  for example {}", "", finding.example);
        let senders: Vec<_> = finding.clients.iter().map(sender).collect();
        if senders.is_empty() {
            let _ = writeln!(text, "{:7}  in what is loaded on the source", "");
        } else {
            let _ = writeln!(text, "{:7}  from {}", "", senders.join("; "));
        }
        let _ = writeln!(text, "{:7}  -> {}", "", finding.what_to_do);
    }
    let count = |severity: &str| {
        let alike = report.findings.iter();
        alike.filter(|finding| finding.severity == severity).count()
    };
    let _ = writeln!(
        text,
        "{} warnings, {} errors, for a target of the kind {}",
        count("warning"),
        count("error"),
        report.profile
    );
    if report.unlisted > 0 {
        let _ = writeln!(
            text,
            "{} requests with findings are not listed",
            report.unlisted
        );
    }
    if !report.unseen_scripts.is_empty() {
        let _ = writeln!(
            text,
            "{} scripts are called by their digest and were not seen, so that nothing is known of them: {}; \
             have them loaded again through the proxy (SCRIPT LOAD), which also carries them to the target",
            report.unseen_scripts.len(),
            report.unseen_scripts.join(", ")
        );
    }
    if !report.target_commands_known {
        text.push_str(
            "the target has not said which commands it has: those that it lacks are not found\n",
        );
    }
    text
}

fn sender(sender: &Sender) -> String {
    let details = [sender.name.as_deref(), sender.library.as_deref()];
    let words = std::iter::once(sender.address.as_str()).chain(details.into_iter().flatten());
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::view::view;

    #[test]
    fn a_finding_is_shown_with_who_sent_it_and_what_to_do() {
        let document = json!({"profile": "active_active", "target_commands_known": true, "unlisted": 0, "findings": [{
            "name": "several_slots:DEL", "severity": "error", "accepted": false, "count": 3, "example": "DEL a b",
            "clients": [{"address": "10.0.0.1", "name": "billing", "library": "redis-py 5.0.1"}],
            "message": "it is refused", "what_to_do": "send one for each key",
        }]});
        let found = view::<Report>(&document);
        assert!(found.stands_in_the_way());
        assert_eq!(
            report(&found),
            "\
error    several_slots:DEL (3 times): it is refused
         for example DEL a b
         from 10.0.0.1, billing, redis-py 5.0.1
         -> send one for each key
0 warnings, 1 errors, for a target of the kind active_active
"
        );
    }
}
