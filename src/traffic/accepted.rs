//! The findings that somebody has accepted: by the name of the rule, or of the rule and the command.

use std::fmt;

use super::report::Finding;
use super::rule::Rule;

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted(Vec<Name>);

/// The name of a finding, or of all findings of a rule: `several_slots:DEL`, `several_slots`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    rule: Rule,
    /// In upper case; none for every command.
    command: Option<String>,
}

/// A name that no finding can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSuchFinding(String);

impl fmt::Display for NoSuchFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no finding's name: must be a rule and a command, such as several_slots:DEL, or a rule, which are {}",
            self.0,
            Rule::ALL.map(Rule::as_str).join(", ")
        )
    }
}

impl std::error::Error for NoSuchFinding {}

impl Accepted {
    /// From the names of findings, in any case.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Accepted, NoSuchFinding> {
        names
            .into_iter()
            .map(Name::parse)
            .collect::<Result<_, _>>()
            .map(Accepted)
    }

    /// These and others.
    #[must_use]
    pub fn and(&self, others: &Accepted) -> Accepted {
        Accepted(self.0.iter().chain(&others.0).cloned().collect())
    }

    /// Whether a finding is among them.
    pub fn covers(&self, finding: &Finding) -> bool {
        self.0.iter().any(|name| {
            name.rule == finding.rule
                && name
                    .command
                    .as_ref()
                    .is_none_or(|command| *command == finding.command)
        })
    }
}

impl Name {
    fn parse(text: &str) -> Result<Name, NoSuchFinding> {
        let (rule, command) = match text.split_once(':') {
            Some((rule, command)) => (rule, Some(command)),
            None => (text, None),
        };
        let command = command.map(|command| command.trim().to_ascii_uppercase());
        match (Rule::named(&rule.trim().to_ascii_lowercase()), command) {
            (Some(_), Some(command)) if command.is_empty() => Err(NoSuchFinding(text.to_owned())),
            (Some(rule), command) => Ok(Name { rule, command }),
            (None, _) => Err(NoSuchFinding(text.to_owned())),
        }
    }
}

/// The name that a finding is accepted by.
pub(super) fn name(rule: Rule, command: &str) -> String {
    format!("{}:{command}", rule.as_str())
}
