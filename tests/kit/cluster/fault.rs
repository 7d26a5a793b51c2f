//! What a test makes the cluster's API do wrong.

use std::time::Duration;

use serde_json::Value;

/// Everything that is wrong at present.
#[derive(Debug, Default)]
pub struct Faults {
    /// Answers in place of the true ones, the first that fits.
    pub answers: Vec<WrongAnswer>,
    /// What `GET /v1/migrations` tells.
    pub numbers: Numbers,
    /// How much the documents hold.
    pub fields: Fields,
    /// A change of a database takes so much longer than its status says.
    pub lingering: Duration,
    /// The other clusters of every Active-Active database are out of reach.
    pub peers: Peers,
}

/// An answer in place of the true one.
#[derive(Debug, Clone)]
pub struct WrongAnswer {
    pub method: &'static str,
    /// What the path begins with.
    pub path: String,
    pub deed: Deed,
    /// How often it still comes.
    pub times: u32,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
pub enum Deed {
    /// This status, and nothing else happens.
    Status(u16),
    /// No answer comes.
    Silence,
    /// What was ordered is done, and no answer comes.
    DoneInSilence,
}

/// What the position of a migration is.
#[derive(Debug, Clone, Default)]
pub enum Numbers {
    /// What the database has acknowledged.
    #[default]
    Applied,
    /// What has been read from the source; the documents do not say which of the two it is.
    Read,
    /// So much more than the truth.
    Ahead(u64),
    /// What was told first, ever since.
    Stale(Option<Value>),
    /// There is no such endpoint: the version is older than 7.22.
    Absent,
}

/// How documents are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fields {
    /// Every field.
    #[default]
    All,
    /// Of a source only what is never absent; numbers as strings.
    Few,
}

/// See [`Faults::peers`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Peers {
    #[default]
    Up,
    Down,
}

impl Faults {
    /// What happens to this request in place of the true answer.
    pub fn deed_for(&mut self, method: &str, path: &str) -> Option<Deed> {
        let wrong = self.answers.iter_mut().find(|wrong| {
            wrong.times > 0 && wrong.method == method && path.starts_with(&wrong.path)
        })?;
        wrong.times -= 1;
        Some(wrong.deed)
    }
}
