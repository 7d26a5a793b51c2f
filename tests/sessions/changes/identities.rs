//! Users whose names and passwords are others on the target: who has come in before the cutover goes on, and who comes
//! after it gives what it always gave.

use tempfile::TempDir;

use crate::kit::{Client, LIMIT, RedisServer, Reply, Sidecar, eventually};

/// What the configuration maps: the user and the password of the client, and those on the target.
const MAPPED: [[&str; 4]; 3] = [
    ["app", "old", "app2", "new"],
    ["jobs", "first", "jobs", "theirs"],
    ["", "root-old", "", "root-new"],
];

/// A migration between servers that agree on no password, ready to cut over.
struct World {
    source: RedisServer,
    target: RedisServer,
    sidecar: Sidecar,
    _secrets: TempDir,
}

impl World {
    fn ready(lanes: &str) -> World {
        let source = RedisServer::options()
            .password("root-old")
            .user("app on >old >second ~* &* +@all")
            .user("jobs on >first ~* &* +@all")
            .user("both on >same ~* &* +@all")
            .user("lone on >here ~* &* +@all")
            .start();
        let target = RedisServer::options()
            .password("root-new")
            .user("app2 on >new ~* &* +@all")
            .user("jobs on >theirs ~* &* +@all")
            .user("both on >same ~* &* +@all")
            .start();
        let secrets = tempfile::tempdir().unwrap();
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("proxy.lanes", lanes)
            .set("credentials", mapping(&secrets))
            .start();
        sidecar.admin().migrate_until_ready();
        World {
            source,
            target,
            sidecar,
            _secrets: secrets,
        }
    }

    fn app(&self) -> Client {
        Client::connect(self.sidecar.addr("app"))
    }

    fn authenticated(&self, request: &[&str]) -> Client {
        let mut app = self.app();
        let reply = app.call(request);
        assert!(!matches!(reply, Reply::Error(_)), "{request:?}: {reply:?}");
        app
    }
}

fn mapping(secrets: &TempDir) -> Vec<toml::Value> {
    let file = |password: &str| {
        let path = secrets.path().join(password);
        std::fs::write(&path, password).unwrap();
        path.to_string_lossy().into_owned()
    };
    let table = |[client, password, there, password_there]: [&str; 4]| {
        let mut table = toml::Table::new();
        for (key, user) in [("client_user", client), ("target_user", there)] {
            if !user.is_empty() {
                table.insert(key.to_owned(), user.into());
            }
        }
        table.insert("client_password_file".to_owned(), file(password).into());
        table.insert(
            "target_password_file".to_owned(),
            file(password_there).into(),
        );
        toml::Value::Table(table)
    };
    MAPPED.into_iter().map(table).collect()
}

fn in_both_modes(test: impl Fn(&World)) {
    for lanes in ["auto", "off"] {
        test(&World::ready(lanes));
    }
}

fn user_of(client: &mut Client) -> String {
    client.call(&["ACL", "WHOAMI"]).into_text()
}

#[test]
fn who_was_there_before_the_cutover_goes_on_as_the_mapped_user() {
    in_both_modes(|world| {
        let auth = ["AUTH", "app", "old"];
        let mut idle = world.authenticated(&auth);
        let mut other_password = world.authenticated(&["AUTH", "app", "second"]);
        let mut hello = world.authenticated(&["HELLO", "3", "AUTH", "app", "old"]);
        let mut jobs = world.authenticated(&["AUTH", "jobs", "first"]);
        let mut both = world.authenticated(&["AUTH", "both", "same"]);
        let mut root = world.authenticated(&["AUTH", "root-old"]);
        let mut named = world.authenticated(&auth);
        named.call(&["CLIENT", "SETNAME", "billing"]);
        let mut in_transaction = world.authenticated(&auth);
        in_transaction.call(&["MULTI"]);
        in_transaction.call(&["ACL", "WHOAMI"]);
        let mut watching = world.authenticated(&auth);
        watching.call(&["WATCH", "k"]);
        let mut subscribed = world.authenticated(&auth);
        subscribed.call(&["SUBSCRIBE", "news"]);
        let mut blocked = world.authenticated(&auth);
        blocked.send(&["BLPOP", "queue", "0"]);
        assert!(eventually(LIMIT, || {
            world.source.info("clients", "blocked_clients").as_deref() == Some("1")
        }));
        assert_eq!(idle.call(&["SET", "k", "before"]), Reply::ok());
        assert_eq!(user_of(&mut idle), "app");

        world.sidecar.admin().must_cut_over();

        for app in [
            &mut idle,
            &mut other_password,
            &mut hello,
            &mut named,
            &mut watching,
        ] {
            assert_eq!(user_of(app), "app2");
            assert_eq!(app.call(&["GET", "k"]), Reply::bulk("before"));
        }
        assert_eq!(user_of(&mut jobs), "jobs");
        assert_eq!(user_of(&mut both), "both");
        assert_eq!(user_of(&mut root), "default");
        assert_eq!(in_transaction.call(&["EXEC"]), Reply::bulks(&["app2"]));
        assert_eq!(named.call(&["CLIENT", "GETNAME"]), Reply::bulk("billing"));
        assert_eq!(jobs.call(&["RPUSH", "queue", "work"]), Reply::Integer(1));
        assert_eq!(blocked.read_reply(), Reply::bulks(&["queue", "work"]));
        assert_eq!(user_of(&mut blocked), "app2");
        assert_eq!(root.call(&["PUBLISH", "news", "hot"]), Reply::Integer(1));
        assert_eq!(
            subscribed.read_reply(),
            Reply::bulks(&["message", "news", "hot"])
        );
        let there = world.target.client().call(&["CLIENT", "LIST"]).into_text();
        assert!(!there.contains("user=app "), "{there}");
    });
}

#[test]
fn who_comes_after_the_commit_gives_the_password_it_always_gave() {
    in_both_modes(|world| {
        let mut early = world.app();
        let refused = early.call(&["AUTH", "app", "guess"]);
        assert!(refused.is_error("WRONGPASS"), "the source judges");

        world.sidecar.admin().must_cut_over();

        assert!(early.call(&["AUTH", "app", "guess"]).is_error("WRONGPASS"));
        assert!(early.call(&["GET", "k"]).is_error("NOAUTH"));
        for (request, user) in [
            (&["AUTH", "app", "old"][..], "app2"),
            (&["HELLO", "2", "AUTH", "app", "old"], "app2"),
            (
                &["HELLO", "3", "AUTH", "app", "old", "SETNAME", "late"],
                "app2",
            ),
            (&["AUTH", "jobs", "first"], "jobs"),
            (&["AUTH", "both", "same"], "both"),
            // A password alone is the default user's, and so is one with that name, as libraries send it.
            (&["AUTH", "root-old"], "default"),
            (&["AUTH", "default", "root-old"], "default"),
            (&["HELLO", "3", "AUTH", "default", "root-old"], "default"),
            // The target's own users are nobody else's.
            (&["AUTH", "app2", "new"], "app2"),
        ] {
            let mut late = world.authenticated(request);
            assert_eq!(user_of(&mut late), user, "{request:?}");
            assert_eq!(late.call(&["SET", "k", user]), Reply::ok());
        }
        for request in [
            &["AUTH", "app", "guess"][..],
            &["AUTH", "app", "new"],
            &["AUTH", "app", "second"],
            &["AUTH", "jobs", "theirs"],
            &["AUTH", "root-new"],
            &["AUTH", "default", "root-new"],
            &["AUTH", "default", ""],
            &["HELLO", "3", "AUTH", "app", "guess"],
            &["HELLO", "3", "AUTH", "default", "guess"],
            &["AUTH", "lone", "here"],
        ] {
            let mut late = world.app();
            let refused = late.call(request);
            assert!(refused.is_error("WRONGPASS"), "{request:?}: {refused:?}");
            assert!(late.call(&["GET", "k"]).is_error("NOAUTH"), "{request:?}");
        }
        // One session may be several users, one after the other; a refusal leaves it who it was.
        let mut app = world.authenticated(&["AUTH", "app", "old"]);
        assert!(app.call(&["AUTH", "jobs", "guess"]).is_error("WRONGPASS"));
        assert_eq!(user_of(&mut app), "app2");
        assert_eq!(app.call(&["AUTH", "jobs", "first"]), Reply::ok());
        assert_eq!(user_of(&mut app), "jobs");
    });
}

#[test]
fn a_hello_that_was_refused_makes_nobody_the_user_that_it_names() {
    in_both_modes(|world| {
        let guesses: &[&[&str]] = &[
            &["HELLO", "3", "BOGUS", "AUTH", "app", "guess"],
            &["HELLO", "x", "AUTH", "app", "guess"],
            &["HELLO", "3", "SETNAME", "a b", "AUTH", "app", "guess"],
            &["HELLO", "3", "AUTH", "app", "guess", "BOGUS"],
        ];
        let guess = |request: &&[&str]| {
            let mut nobody = world.app();
            let refused = nobody.call(request);
            assert!(matches!(refused, Reply::Error(_)), "{request:?}");
            nobody
        };
        let mut early: Vec<Client> = guesses.iter().map(guess).collect();
        world.sidecar.admin().must_cut_over();
        let late: Vec<Client> = guesses.iter().map(guess).collect();
        early.extend(late);
        for (nobody, request) in early.iter_mut().zip([guesses, guesses].concat()) {
            // The mapping would make of it a user with the right password.
            let read = nobody.call(&["GET", "k"]);
            assert!(read.is_error("NOAUTH"), "{request:?}: {read:?}");
        }
    });
}

#[test]
fn each_user_of_a_hello_is_mapped_where_servers_find_it() {
    in_both_modes(|world| {
        world.sidecar.admin().must_cut_over();
        for (request, user) in [
            (
                &["HELLO", "3", "SETNAME", "AUTH", "AUTH", "app", "old"][..],
                "app2",
            ),
            (
                &["HELLO", "3", "AUTH", "app", "old", "AUTH", "jobs", "first"],
                "jobs",
            ),
        ] {
            let mut late = world.authenticated(request);
            assert_eq!(user_of(&mut late), user, "{request:?}");
        }
        let mut nobody = world.app();
        let second = ["HELLO", "3", "AUTH", "both", "same", "AUTH", "app", "guess"];
        assert!(nobody.call(&second).is_error("WRONGPASS"));
        assert!(nobody.call(&["GET", "k"]).is_error("NOAUTH"));
    });
}

#[test]
fn a_rollback_makes_everybody_who_it_was() {
    in_both_modes(|world| {
        let admin = world.sidecar.admin();
        let mut early = world.authenticated(&["AUTH", "app", "old"]);
        admin.must_cut_over();
        let mut late = world.authenticated(&["AUTH", "app", "old"]);
        late.call(&["CLIENT", "SETNAME", "late"]);
        assert_eq!(user_of(&mut early), "app2");
        admin.wait_for("can_roll_back", |status| status["can_roll_back"] == true);
        let answer = admin.rollback();
        assert_eq!(answer.json["outcome"], "rolled_back", "{}", answer.text);
        for app in [&mut early, &mut late] {
            assert_eq!(user_of(app), "app");
            assert_eq!(app.call(&["SET", "k", "back"]), Reply::ok());
        }
        assert_eq!(
            world.source.client().call(&["GET", "k"]),
            Reply::bulk("back")
        );
    });
}

#[test]
fn a_user_that_the_target_does_not_know_keeps_everybody_on_the_source() {
    in_both_modes(|world| {
        let mut lone = world.authenticated(&["AUTH", "lone", "here"]);
        assert_eq!(lone.call(&["SET", "k", "here"]), Reply::ok());
        let answer = world.sidecar.admin().cutover();
        assert_eq!(answer.json["error"]["code"], "preflight", "{}", answer.text);
        let says_who = answer.text.contains("target has no user lone");
        assert!(says_who, "{}", answer.text);
        assert_eq!(lone.call(&["SET", "k", "still"]), Reply::ok());
        assert_eq!(user_of(&mut lone), "lone");
        // Whom the proxy has not seen, and whom the mapping renames, stand in nobody's way.
        assert!(!answer.text.contains("both") && !answer.text.contains("app"));
    });
}

#[test]
fn a_password_that_the_configuration_has_wrong_is_found_before_anybody_moves() {
    for (server, expected) in [
        ("source", "the user app with its client_password_file"),
        ("target", "the user app2 with its target_password_file"),
    ] {
        let world = World::ready("auto");
        let (mut admin, user) = match server {
            "source" => (world.source.client(), "app"),
            _ => (world.target.client(), "app2"),
        };
        admin.call(&["ACL", "SETUSER", user, "resetpass", ">changed"]);
        let answer = world.sidecar.admin().cutover();
        assert_eq!(answer.json["error"]["code"], "preflight", "{}", answer.text);
        assert!(answer.text.contains(expected), "{}", answer.text);
        assert!(answer.text.contains("WRONGPASS"), "{}", answer.text);
        assert!(!answer.text.contains("changed"), "{}", answer.text);
    }
}
