//! `[[credentials]]`: what becomes of a client's identity on the target, whose users and passwords are others.
//!
//! Refuses to know: connections, and the requests in which an identity comes.

use subtle::ConstantTimeEq;

use super::CredentialMapping;
use crate::terms::{Identity, Secret, Side};

/// What the mapping makes of an identity that nobody has judged yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mapped<'a> {
    /// No mapping names this user: the target judges.
    No,
    /// One does, with another password.
    WrongPassword,
    /// The identity to use instead.
    To(&'a Identity),
}

/// Judges an identity that a client gives the target. Each password of a user is compared, so that one may be replaced
/// while both are in use.
pub(super) fn judge<'a>(given: &Identity, credentials: &'a [CredentialMapping]) -> Mapped<'a> {
    let mut verdict = Mapped::No;
    for mapping in of_user(given, credentials) {
        if same_password(given, &mapping.client) {
            return Mapped::To(&mapping.target);
        }
        verdict = Mapped::WrongPassword;
    }
    verdict
}

/// What an identity that a database has accepted is on `side`. The source may take passwords that the mapping does not
/// name: who has come in there with one of them is the same user, and goes on as such.
pub(super) fn on_side(
    identity: &Identity,
    side: Side,
    credentials: &[CredentialMapping],
) -> Identity {
    if side == Side::Source {
        return identity.clone();
    }
    let known = of_user(identity, credentials);
    known
        .iter()
        .find(|mapping| same_password(identity, &mapping.client))
        .or(known.first())
        .map_or_else(|| identity.clone(), |mapping| mapping.target.clone())
}

/// What an identity on the target is on the source, if a mapping leads there.
pub(super) fn back_to_source(identity: &Identity, credentials: &[CredentialMapping]) -> Identity {
    credentials
        .iter()
        .find(|mapping| mapping.target == *identity)
        .map_or_else(|| identity.clone(), |mapping| mapping.client.clone())
}

/// The mappings of the user that `identity` is; none of who has not said who it is.
fn of_user<'a>(
    identity: &Identity,
    credentials: &'a [CredentialMapping],
) -> Vec<&'a CredentialMapping> {
    if *identity == Identity::Anonymous {
        return vec![];
    }
    credentials
        .iter()
        .filter(|mapping| mapping.client.user() == identity.user())
        .collect()
}

/// Compares without telling by its time how much is alike.
fn same_password(one: &Identity, other: &Identity) -> bool {
    match (password_of(one), password_of(other)) {
        (Some(one), Some(other)) => one.expose().ct_eq(other.expose()).into(),
        (None, _) | (_, None) => false,
    }
}

fn password_of(identity: &Identity) -> Option<&Secret> {
    match identity {
        Identity::Anonymous => None,
        Identity::Password(password) | Identity::User { password, .. } => Some(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, password: &str) -> Identity {
        Identity::User {
            name: Secret::new(name),
            password: Secret::new(password),
        }
    }

    fn default_user(password: &str) -> Identity {
        Identity::Password(Secret::new(password))
    }

    fn mapping(client: Identity, target: Identity) -> CredentialMapping {
        CredentialMapping { client, target }
    }

    #[test]
    fn a_mapped_identity_differs_on_the_target_only() {
        let known = [mapping(user("old", "p"), user("new", "p"))];
        let on = |name, side| on_side(&user(name, "p"), side, &known);
        assert_eq!(on("old", Side::Source), user("old", "p"));
        assert_eq!(on("old", Side::Target), user("new", "p"));
        assert_eq!(on("else", Side::Target), user("else", "p"));
        assert_eq!(back_to_source(&user("new", "p"), &known), user("old", "p"));
        assert_eq!(
            on_side(&Identity::Anonymous, Side::Target, &known),
            Identity::Anonymous
        );
    }

    #[test]
    fn the_default_user_is_the_same_with_and_without_its_name() {
        let there = user("app", "new");
        for client in [default_user("old"), user("default", "old")] {
            let known = [mapping(client, there.clone())];
            for given in [default_user("old"), user("default", "old")] {
                assert_eq!(judge(&given, &known), Mapped::To(&there));
                assert_eq!(on_side(&given, Side::Target, &known), there);
            }
            assert_eq!(judge(&default_user("bad"), &known), Mapped::WrongPassword);
            assert_eq!(judge(&user("app", "old"), &known), Mapped::No);
        }
    }

    #[test]
    fn a_user_may_have_several_passwords() {
        let known = [
            mapping(user("app", "first"), user("one", "1")),
            mapping(user("app", "second"), user("two", "2")),
        ];
        let given = |password| judge(&user("app", password), &known);
        assert_eq!(given("first"), Mapped::To(&user("one", "1")));
        assert_eq!(given("second"), Mapped::To(&user("two", "2")));
        assert_eq!(given("third"), Mapped::WrongPassword);
        // The source took it: it judged.
        let on = |password| on_side(&user("app", password), Side::Target, &known);
        assert_eq!(on("second"), user("two", "2"));
        assert_eq!(on("third"), user("one", "1"));
    }
}
