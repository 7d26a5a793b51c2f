//! Who clients are to the databases: the names of the users, for whoever must see that the other side has them.
//!
//! Refuses to know: passwords.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::terms::Identity;

/// Users that are remembered: an application has a handful.
const USERS_MAX: usize = 256;

/// Users that the clients of all workers are, or were since the process started.
#[derive(Debug, Default)]
pub struct Users(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_name: BTreeMap<Vec<u8>, Claim>,
    has_forgotten: bool,
}

/// How clients have said who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// By a password.
    Password,
    /// Some did not at all: they are the default user.
    Nothing,
}

/// What is remembered of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Their names, and how their clients have come in.
    pub users: Vec<(Vec<u8>, Claim)>,
    /// There were more than are remembered.
    pub has_forgotten: bool,
}

impl Users {
    /// A client uses a database as `identity`, which the database has let in. Called once for each identity of a session.
    pub(super) fn note(&self, identity: &Identity) {
        let claim = match identity {
            Identity::Anonymous => Claim::Nothing,
            Identity::Password(_) | Identity::User { .. } => Claim::Password,
        };
        let mut known = self.lock();
        if let Some(earlier) = known.by_name.get_mut(identity.user()) {
            *earlier = claim.max(*earlier);
        } else if known.by_name.len() < USERS_MAX {
            known.by_name.insert(identity.user().to_vec(), claim);
        } else {
            known.has_forgotten = true;
        }
    }

    /// Everybody so far.
    pub fn seen(&self) -> Seen {
        let known = self.lock();
        Seen {
            users: known
                .by_name
                .iter()
                .map(|(name, claim)| (name.clone(), *claim))
                .collect(),
            has_forgotten: known.has_forgotten,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Each entry is whole between two statements: it is in order whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Secret;

    fn user(name: &str) -> Identity {
        Identity::User {
            name: Secret::new(name),
            password: Secret::new("p"),
        }
    }

    #[test]
    fn each_user_is_remembered_once_and_the_default_user_with_how_it_came() {
        let users = Users::default();
        for identity in [
            user("app"),
            Identity::Anonymous,
            Identity::Password(Secret::new("p")),
            user("app"),
        ] {
            users.note(&identity);
        }
        let names = [
            (b"app".to_vec(), Claim::Password),
            (b"default".to_vec(), Claim::Nothing),
        ];
        assert_eq!(users.seen().users, names);
        assert!(!users.seen().has_forgotten);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_says_so() {
        let users = Users::default();
        for number in 0..=USERS_MAX {
            users.note(&user(&number.to_string()));
        }
        assert_eq!(users.seen().users.len(), USERS_MAX);
        assert!(users.seen().has_forgotten);
    }
}
