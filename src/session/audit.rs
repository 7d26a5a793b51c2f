//! The log of refused writes: who tried what, at most so many lines a second; who it was is counted beside it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::Audit;
use super::refusers::{Refuser, Refusers};

/// A refused write.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    pub(super) listener: &'a str,
    pub(super) client: &'a str,
    pub(super) name: Option<&'a [u8]>,
    pub(super) command: &'a [u8],
    pub(super) key: Option<&'a [u8]>,
}

/// The log, shared by all workers.
#[derive(Debug)]
pub struct AuditLog {
    settings: Audit,
    started: Instant,
    /// The second that is being counted, and how many lines it had: `second << 32 | lines`.
    window: AtomicU64,
    /// Refusals without a line since the last one that had one.
    suppressed: AtomicU64,
    /// Who they came from.
    refusers: Refusers,
}

/// A key is logged up to here; what identifies it stands at its front.
const KEY_BYTES_MAX: usize = 128;

impl AuditLog {
    /// An empty log.
    pub fn new(settings: Audit) -> AuditLog {
        AuditLog {
            settings,
            started: Instant::now(),
            window: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
            refusers: Refusers::default(),
        }
    }

    /// The clients that were refused last, the newest first.
    pub fn refusers(&self) -> Vec<Refuser> {
        self.refusers.list()
    }

    pub(super) fn refused(&self, refused: &Refused<'_>) {
        self.refusers.note(refused);
        if !self.has_room() {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let key = match refused.key {
            _ if self.settings.redact_keys => "[redacted]".into(),
            Some(key) => printable(&key[..key.len().min(KEY_BYTES_MAX)]),
            None => String::new(),
        };
        tracing::info!(
            target: "handover::audit",
            listener = refused.listener,
            client = refused.client,
            name = refused.name.map(printable),
            command = printable(refused.command),
            key,
            suppressed = self.suppressed.swap(0, Ordering::Relaxed),
            "refused a write"
        );
    }

    fn has_room(&self) -> bool {
        let second = self.started.elapsed().as_secs();
        let admitted = self
            .window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
                let lines = if window >> 32 == second {
                    window & u64::from(u32::MAX)
                } else {
                    0
                };
                (lines < u64::from(self.settings.lines_per_second))
                    .then_some(second << 32 | (lines + 1))
            });
        admitted.is_ok()
    }
}

pub(super) fn printable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_lines_are_written_than_allowed() {
        let log = AuditLog::new(Audit {
            redact_keys: false,
            lines_per_second: 3,
        });
        let written = (0..100).filter(|_| log.has_room()).count();
        assert!((3..=6).contains(&written), "{written}"); // the second may turn once
    }
}
