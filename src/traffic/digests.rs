//! Which scripts are called by their digest, and which texts were seen: what is called, and was not seen, is judged by
//! nobody. A script may have been loaded before the proxy came, or past it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustc_hash::FxHashSet;

use crate::resp::request::Request;

/// Digests of a kind that are remembered. An application that makes up scripts as it goes has more; it is then not
/// known which of them were seen.
const DIGESTS_MAX: usize = 4_096;
/// Bytes of a digest, which callers write in hexadecimal digits.
const DIGEST_BYTES: usize = 20;

type Digest = [u8; DIGEST_BYTES];

/// The digests of all workers.
#[derive(Debug, Default)]
pub(super) struct Digests(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    seen: BTreeSet<Digest>,
    called: BTreeSet<Digest>,
}

/// What one worker has told: it takes the lock once for each digest.
#[derive(Debug, Default)]
pub(super) struct Called(RefCell<FxHashSet<Digest>>);

impl Digests {
    /// A text came by.
    pub(super) fn seen(&self, text: &[u8]) {
        let Ok(sum) = Digest::try_from(digest(&SHA1_FOR_LEGACY_USE_ONLY, text).as_ref()) else {
            return;
        };
        let mut known = self.lock();
        if known.seen.len() < DIGESTS_MAX {
            known.seen.insert(sum);
        }
    }

    /// A request calls a script by its digest.
    pub(super) fn called(&self, told: &Called, request: &Request<'_>) {
        let Some(sum) = request.argument(1).and_then(read) else {
            return;
        };
        let mut told = told.0.borrow_mut();
        if told.contains(&sum) || told.len() >= DIGESTS_MAX {
            return;
        }
        told.insert(sum);
        let mut known = self.lock();
        if known.called.len() < DIGESTS_MAX {
            known.called.insert(sum);
        }
    }

    /// The digests of what was called and never seen. Where there are too many to know, none is held against anybody.
    pub(super) fn unseen(&self) -> Vec<String> {
        let known = self.lock();
        if known.seen.len() >= DIGESTS_MAX {
            return vec![];
        }
        known.called.difference(&known.seen).map(written).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Each entry is whole between two statements: it is in order whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forty digits in either case, as servers take them; anything else is no script anywhere.
fn read(text: &[u8]) -> Option<Digest> {
    if text.len() != 2 * DIGEST_BYTES {
        return None;
    }
    let mut sum = Digest::default();
    for (byte, pair) in sum.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(sum)
}

fn written(sum: &Digest) -> String {
    sum.iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|half| char::from_digit(u32::from(half), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_servers() {
        let digests = Digests::default();
        digests.seen(b"return 1");
        let sum = *digests.lock().seen.first().unwrap();
        assert_eq!(written(&sum), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(read(b"E0E1F9FABFC9D4800C877A703B823AC0578FF8DB"), Some(sum));
        assert_eq!(read(b"E0E1"), None);
        assert_eq!(read(&[b'g'; 40]), None);
    }
}
