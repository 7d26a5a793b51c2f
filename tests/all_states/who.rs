//! Who a session is: identity, name, library, database, protocol.

#![allow(unreachable_pub)] // a module of a test binary

use super::course::{Row, Turn};
use super::kit::{Client, RedisServer, Reply};

/// Each session keeps its user and that user's rights; a user with another name on the target is that one there.
pub fn identity(row: &Row<'_>, ten: &mut [Client]) {
    let password = |user| match user {
        "writer" => "w",
        "reader" => "r",
        _ => "old",
    };
    let user = |number| ["writer", "reader", "app"][number % 3];
    for (number, session) in ten.iter_mut().enumerate() {
        let user = user(number);
        if number < 5 {
            assert_eq!(session.call(&["AUTH", user, password(user)]), Reply::ok());
        } else {
            let reply = session.call(&["HELLO", "3", "AUTH", user, password(user)]);
            assert!(matches!(reply, Reply::Map(_)), "{reply:?}");
        }
        // Half of them have a connection of their own.
        if number % 2 == 0 {
            session.call(&["CLIENT", "NO-EVICT", "off"]);
        }
    }
    for turn in Turn::BOTH {
        row.cross(turn);
        for (number, session) in ten.iter_mut().enumerate() {
            let user = match (user(number), turn) {
                ("app", Turn::Forth) => "app2",
                (user, _) => user,
            };
            let there = session.call(&["ACL", "WHOAMI"]);
            if user == "reader" {
                let refused = there.is_error("NOPERM");
                row.claim(number, "ACL WHOAMI refused", &refused, &true);
                let refused = session.call(&["SET", "k", "v"]).is_error("NOPERM");
                row.claim(number, "SET refused", &refused, &true);
                let read = session.call(&["GET", &row.key(turn, "none")]);
                row.claim(number, "GET", &read, &Reply::Null);
            } else {
                row.claim(number, "ACL WHOAMI", &there, &Reply::bulk(user));
                let key = row.key(turn, number);
                let written = session.call(&["SET", &key, "v"]);
                row.claim(number, "SET", &written, &Reply::ok());
            }
        }
    }
}

/// The name, and where the server knows of such a thing the library's name, go with the session.
pub fn name_and_library(row: &Row<'_>, ten: &mut [Client]) {
    let name = |number| format!("billing-{number}");
    let mut has_library = false;
    for (number, session) in ten.iter_mut().enumerate() {
        assert_eq!(
            session.call(&["CLIENT", "SETNAME", &name(number)]),
            Reply::ok()
        );
        let reply = session.call(&["CLIENT", "SETINFO", "LIB-NAME", &name(number)]);
        has_library = reply == Reply::ok();
        assert!(
            has_library || reply.is_error("ERR unknown subcommand"),
            "{reply:?}"
        );
    }
    for turn in Turn::BOTH {
        row.cross(turn);
        let list = client_list(row.after(turn));
        for (number, session) in ten.iter_mut().enumerate() {
            let (name, own) = (name(number), session.call(&["CLIENT", "GETNAME"]));
            row.claim(number, "CLIENT GETNAME", &own, &Reply::bulk(&name));
            let named = format!(" name={name} ");
            let lines: Vec<_> = list.lines().filter(|line| line.contains(&named)).collect();
            row.claim(number, "connections of that name", &lines.len(), &1);
            if has_library {
                let library = lines[0].contains(&format!(" lib-name={name} "));
                row.claim(number, "library in CLIENT LIST", &library, &true);
            }
        }
    }
}

/// A session in database 3 reads and writes there afterwards.
pub fn database(row: &Row<'_>, ten: &mut [Client]) {
    let in_three = row.key(Turn::Forth, "shared");
    for session in ten.iter_mut() {
        assert_eq!(session.call(&["SELECT", "3"]), Reply::ok());
        assert_eq!(session.call(&["SET", &in_three, "three"]), Reply::ok());
    }
    for turn in Turn::BOTH {
        row.cross(turn);
        let mut server = row.after(turn).client();
        assert_eq!(server.call(&["SELECT", "3"]), Reply::ok());
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            let read = session.call(&["GET", &in_three]);
            row.claim(number, "GET", &read, &Reply::bulk("three"));
            row.claim(
                number,
                "SET",
                &session.call(&["SET", &key, "v"]),
                &Reply::ok(),
            );
            let there = server.call(&["GET", &key]);
            row.claim(number, "its write in database 3", &there, &Reply::bulk("v"));
        }
    }
}

/// A session of RESP3 gets replies of RESP3 afterwards, on a lane and on a connection of its own.
pub fn protocol(row: &Row<'_>, ten: &mut [Client]) {
    for (number, session) in ten.iter_mut().enumerate() {
        assert!(matches!(session.call(&["HELLO", "3"]), Reply::Map(_)));
        if number % 2 == 0 {
            assert_eq!(session.call(&["CLIENT", "SETNAME", "third"]), Reply::ok());
        }
    }
    for turn in Turn::BOTH {
        row.cross(turn);
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            assert_eq!(
                session.call(&["HSET", &key, "field", "value"]),
                Reply::Integer(1)
            );
            let map = Reply::Map(vec![(Reply::bulk("field"), Reply::bulk("value"))]);
            row.claim(number, "HGETALL", &session.call(&["HGETALL", &key]), &map);
            let scored = row.key(turn, format!("{number}:scored"));
            let added = session.call(&["ZADD", &scored, "INCR", "1.5", "member"]);
            row.claim(
                number,
                "ZADD INCR",
                &added,
                &Reply::Double("1.5".to_owned()),
            );
        }
    }
}

/// CLIENT LIST past the sidecar.
pub fn client_list(server: &RedisServer) -> String {
    server.client().call(&["CLIENT", "LIST"]).into_text()
}
