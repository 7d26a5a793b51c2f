//! Reads one table of the file key by key: what is asked for is known, what is left over is not, and what is wrong is
//! noted while reading goes on.
//!
//! Refuses to know: which keys there are.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::{Table, Value};

use super::mistake::{Mistake, shown, shown_secret_path};
use super::notation;
use super::spelling::nearest;
use crate::terms::Secret;

/// What a key says that later versions bring.
const LATER: &str = "is not available in this version";

/// One reading of one file.
pub(super) struct Reading<'env> {
    env: &'env dyn Fn(&str) -> Option<String>,
    mistakes: RefCell<Vec<Mistake>>,
    /// Every key that was asked for, as a full path; the example file is held against it.
    known: RefCell<BTreeSet<String>>,
}

/// One table of the file. When it is dropped, the keys that nobody asked for are noted as mistakes, so a reader has to
/// ask for all its keys whatever it finds.
pub(super) struct Section<'run> {
    reading: &'run Reading<'run>,
    /// `listener[0]`; empty for the file itself.
    path: String,
    /// What has not been asked for yet.
    left: Table,
    /// What has, present or not.
    asked: Vec<&'static str>,
}

impl<'env> Reading<'env> {
    pub(super) fn new(env: &'env dyn Fn(&str) -> Option<String>) -> Reading<'env> {
        Reading {
            env,
            mistakes: RefCell::default(),
            known: RefCell::default(),
        }
    }

    pub(super) fn root(&self, table: Table) -> Section<'_> {
        Section {
            reading: self,
            path: String::new(),
            left: table,
            asked: Vec::new(),
        }
    }

    pub(super) fn into_parts(self) -> (Vec<Mistake>, BTreeSet<String>) {
        (self.mistakes.into_inner(), self.known.into_inner())
    }
}

impl<'run> Section<'run> {
    /// The full path of a key of this section.
    pub(super) fn path_of(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Notes a mistake that is not about one value. An empty key means the section itself.
    pub(super) fn mistake(&self, key: &str, wanted: impl Into<String>) {
        self.note(key, None, wanted);
    }

    /// Notes a mistake about a value that may be shown.
    pub(super) fn mistake_with(&self, key: &str, value: &str, wanted: impl Into<String>) {
        self.note(key, Some(shown(&Value::String(value.to_owned()))), wanted);
    }

    /// Notes a mistake where the key is absent; to be called before it is asked for.
    pub(super) fn require(&self, key: &'static str, wanted: &str) {
        if !self.has(key) {
            self.mistake(key, format!("is missing: {wanted}"));
        }
    }

    /// Notes a mistake where the key has one of these values, and takes it away.
    pub(super) fn later_values(&mut self, key: &'static str, values: &[&str]) {
        if let Some(value) = self.left.get(key)
            && values.iter().any(|later| value.as_str() == Some(later))
        {
            self.note(key, Some(shown(value)), LATER);
            self.left.remove(key);
        }
    }

    /// Notes a mistake where the key is there at all.
    pub(super) fn later(&mut self, key: &'static str) {
        if self.left.remove(key).is_some() {
            self.mistake(key, LATER);
        }
    }

    /// Takes the key away, unread.
    pub(super) fn skip(&mut self, key: &'static str) {
        self.left.remove(key);
    }

    /// Whether the key is there, and has not been asked for.
    pub(super) fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// A value with `${…}` expanded, as `read` understands it; its error says what would be right.
    pub(super) fn checked<T, W: Into<String>>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Result<T, W>,
    ) -> Option<T> {
        let raw = self.take(key)?;
        read(&self.expand(key, &raw)?)
            .map_err(|wanted| self.note(key, Some(shown(&raw)), wanted))
            .ok()
    }

    /// As [`Section::checked`], where there is one thing to say.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        wanted: impl Into<String>,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        self.checked(key, |value| parse(value).ok_or(wanted))
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(
            key,
            "must be a text that is not empty, in quotes",
            |value| {
                value
                    .as_str()
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
            },
        )
    }

    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.parsed(key, "must be true or false", flag)
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        self.parsed(key, format!("must be {}", names.join(" or ")), |value| {
            choices
                .iter()
                .find(|(name, _)| value.as_str() == Some(name))
                .map(|(_, choice)| *choice)
        })
    }

    pub(super) fn number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let wanted = format!(
            "must be a whole number from {} to {}",
            range.start(),
            range.end()
        );
        self.parsed(key, wanted, |value| {
            let number = match value {
                Value::Integer(number) => u64::try_from(*number).ok(),
                value => value.as_str().and_then(|text| text.parse().ok()),
            };
            number
                .and_then(|number| T::try_from(number).ok())
                .filter(|number| range.contains(number))
        })
    }

    pub(super) fn size<T>(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<T>
    where
        T: TryFrom<u64>,
    {
        let [from, to] = [range.start(), range.end()].map(|bytes| notation::write_size(*bytes));
        self.parsed(
            key,
            format!("must be a size from {from} to {to}, such as 64MiB"),
            |value| {
                let bytes = match value {
                    Value::Integer(bytes) => u64::try_from(*bytes).ok(),
                    value => value.as_str().and_then(notation::size),
                };
                bytes
                    .filter(|bytes| range.contains(bytes))
                    .and_then(|bytes| T::try_from(bytes).ok())
            },
        )
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let [from, to] =
            [range.start(), range.end()].map(|duration| notation::write_duration(*duration));
        self.parsed(
            key,
            format!("must be a duration from {from} to {to}, such as 250ms or 10s"),
            |value| {
                value
                    .as_str()
                    .and_then(notation::duration)
                    .filter(|duration| range.contains(duration))
            },
        )
    }

    /// A program and its arguments.
    pub(super) fn command(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.parsed(
            key,
            r#"must be a program and its arguments, such as ["/usr/bin/hook", "stop"]"#,
            |value| {
                let words: Vec<_> = value
                    .as_array()?
                    .iter()
                    .map(|word| word.as_str().map(str::to_owned))
                    .collect::<Option<_>>()?;
                words
                    .first()
                    .is_some_and(|program| !program.is_empty())
                    .then_some(words)
            },
        )
    }

    /// The content of a file, without the line end that editors leave. Neither it nor anything that might be it is
    /// ever shown.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let raw = self.take(key)?;
        let expanded = self.expand(key, &raw)?;
        let path = raw.as_str().and_then(shown_secret_path);
        let Some(file) = expanded.as_str().filter(|file| !file.is_empty()) else {
            self.note(key, None, "must be the path of a file, in quotes");
            return None;
        };
        match std::fs::read(file) {
            Ok(mut secret) => {
                while secret.ends_with(b"\n") || secret.ends_with(b"\r") {
                    secret.pop();
                }
                if secret.is_empty() {
                    self.note(key, path, "the file must not be empty");
                    return None;
                }
                Some(Secret::new(secret))
            }
            Err(error) => {
                self.note(key, path, format!("the file must be readable: {error}"));
                None
            }
        }
    }

    /// A table inside this one; an empty one where it is absent.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'run> {
        let table = match self.ask(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(value) => {
                self.note(
                    key,
                    Some(shown(&value)),
                    format!("must be a section: [{}]", self.path_of(key)),
                );
                Table::new()
            }
        };
        self.inner(self.path_of(key), table)
    }

    /// Tables written `[[key]]`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'run>> {
        let Some(value) = self.ask(key) else {
            return Vec::new();
        };
        let tables = value.as_array().and_then(|tables| {
            tables
                .iter()
                .map(|table| table.as_table().cloned())
                .collect()
        });
        let tables: Vec<Table> = tables.unwrap_or_else(|| {
            self.note(
                key,
                Some(shown(&value)),
                format!("must be sections: [[{}]]", self.path_of(key)),
            );
            Vec::new()
        });
        let path = self.path_of(key);
        tables
            .into_iter()
            .enumerate()
            .map(|(at, table)| self.inner(format!("{path}[{at}]"), table))
            .collect()
    }

    fn inner(&self, path: String, table: Table) -> Section<'run> {
        Section {
            reading: self.reading,
            path,
            left: table,
            asked: Vec::new(),
        }
    }

    /// Takes a value out, and remembers that the key is one of a single value.
    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.reading.known.borrow_mut().insert(self.path_of(key));
        self.ask(key)
    }

    fn ask(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.left.remove(key)
    }

    fn expand(&self, key: &str, raw: &Value) -> Option<Value> {
        let expanded = match raw {
            Value::String(text) => notation::expand(text, self.reading.env).map(Value::String),
            Value::Array(values) => {
                return values
                    .iter()
                    .map(|value| self.expand(key, value))
                    .collect::<Option<_>>()
                    .map(Value::Array);
            }
            value => Ok(value.clone()),
        };
        expanded
            .map_err(|wanted| self.note(key, Some(shown(raw)), wanted))
            .ok()
    }

    fn note(&self, key: &str, value: Option<String>, wanted: impl Into<String>) {
        let mistake = Mistake {
            path: self.path_of(key),
            value,
            wanted: wanted.into(),
        };
        self.reading.mistakes.borrow_mut().push(mistake);
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for key in self.left.keys() {
            // The value is not shown: an unknown `password` is one of the likelier mistakes.
            self.mistake(
                key,
                match nearest(key, &self.asked) {
                    Some(known) => format!("is not a known key: did you mean {known}?"),
                    None => format!("is not a known key: here are {}", self.asked.join(", ")),
                },
            );
        }
    }
}

pub(super) fn flag(value: &Value) -> Option<bool> {
    value
        .as_bool()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}
