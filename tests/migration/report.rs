//! The compatibility report: it finds what of an application's traffic an Active-Active database takes differently, and
//! nothing else; and what it finds stands in the way of a cutover until somebody accepts it.

use crate::kit::{Admin, Client, LIMIT, RedisServer, Reply, Sidecar, eventually};
use serde_json::{Value, json};

fn names(report: &Value) -> Vec<(String, u64)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let mut names: Vec<_> = findings
        .map(|finding| {
            let name = finding["name"].as_str().unwrap().to_owned();
            (name, finding["count"].as_u64().unwrap())
        })
        .collect();
    names.sort();
    names
}

fn finding(admin: Admin, name: &str) -> Value {
    let report = admin.get("/v1/report").json;
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .clone()
        .find(|finding| finding["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {report:#}"))
        .clone()
}

fn send(client: &mut Client, lines: &[&str]) {
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        let reply = client.call(&words);
        assert!(!reply.is_error(""), "{line}: {reply:?}");
    }
}

/// What an Active-Active database serves as a Redis does.
const COMPATIBLE: &[&str] = &[
    "SET k v",
    "GET k",
    "MGET a b c",
    "EXISTS a b",
    "DEL one",
    "DEL {t}a {t}b",
    "MSET {t}a 1 {t}b 2",
    "SADD x{a}{t} 1",
    "SINTER x{a}{t} y{b}{t}",
    "XADD s * f v",
    "XADD s MAXLEN ~ 100 9999999999999-* f v",
    "INCR c",
    "INCRBY c 1000000",
    "SELECT 0",
    "COPY {t}a {t}c DB 0",
    "CONFIG GET notify-keyspace-events",
];

#[test]
fn every_construct_is_found_and_nothing_else() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("target.profile", "active_active")
        .start();
    let admin = sidecar.admin();
    let mut client = Client::connect(sidecar.addr("app"));
    send(&mut client, COMPATIBLE);
    let declared = ["EVAL", "return redis.call('GET', KEYS[1])", "1", "k"];
    client.call(&declared);
    client.pipeline(&[
        &["MULTI"],
        &["SET", "{t}a", "1"],
        &["GET", "{t}b"],
        &["EXEC"],
    ]);
    assert_eq!(names(&admin.get("/v1/report").json), []);

    send(
        &mut client,
        &[
            "DEL a b",
            "DEL a b",
            "MSET a 1 b 2",
            "RENAME a b",
            "SINTER {t}{a} {t}{b}",
            "XADD s 9999999999999-7 f v",
            "INCRBY d 288230376151711744",
            "DECRBY e 144115188075855872",
            "WAIT 0 10",
            "UNLINK big",
            "OBJECT ENCODING k",
            "CONFIG GET maxmemory",
            "COPY {t}a {t}c DB 1",
            "SELECT 3",
            "SELECT 0",
        ],
    );
    client.call(&["EVAL", "return redis.call('GET', 'config')", "0"]);
    client.call(&[
        "EVAL",
        "return redis.call('SET', KEYS[1] .. ':lock', 1)",
        "1",
        "k",
    ]);
    // In one piece, and piece by piece.
    client.pipeline(&[
        &["MULTI"],
        &["SET", "a", "1"],
        &["SET", "b", "2"],
        &["EXEC"],
    ]);
    send(&mut client, &["MULTI", "SET a 1", "SET b 2", "EXEC"]);

    let expected = [
        ("blocking_unlink:UNLINK", 1),
        ("counter_near_limit:DECRBY", 1),
        ("counter_overflow:INCRBY", 1),
        ("database_number:COPY", 1),
        ("database_number:SELECT", 1),
        ("derived_keys:EVAL", 1),
        ("explicit_stream_id:XADD", 1),
        ("hash_tag:SINTER", 1),
        ("server_setting:CONFIG GET", 1),
        ("several_slots:DEL", 2),
        ("several_slots:MSET", 1),
        ("several_slots:RENAME", 1),
        ("transaction_slots:SET", 2),
        ("undeclared_keys:EVAL", 1),
        ("unsupported:OBJECT ENCODING", 1),
        ("unsupported:WAIT", 1),
    ];
    let report = admin.get("/v1/report").json;
    let expected: Vec<_> = expected.map(|(name, n)| (name.to_owned(), n)).to_vec();
    assert_eq!(names(&report), expected, "{report:#}");
    assert_eq!(
        (&report["errors"], &report["warnings"]),
        (&json!(11), &json!(5))
    );
    for line in [
        r#"handover_incompatible_commands_total{command="DEL",severity="error"} 2"#,
        r#"handover_incompatible_commands_total{command="UNLINK",severity="warning"} 1"#,
    ] {
        assert!(admin.metrics().lines().any(|it| it == line), "{line}");
    }
}

#[test]
fn a_finding_names_an_example_and_the_clients_and_what_to_do() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    for (redacted, example) in [(false, "DEL a b"), (true, "DEL [redacted] [redacted]")] {
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("target.profile", "active_active")
            .set("log.redact_keys", redacted)
            .start();
        let mut client = Client::connect(sidecar.addr("app"));
        send(&mut client, &["CLIENT SETNAME billing", "DEL a b"]);
        let found = finding(sidecar.admin(), "several_slots:DEL");
        assert_eq!(found["example"], example);
        let billing = json!([{"address": "127.0.0.1", "name": "billing", "library": null}]);
        assert_eq!(found["clients"], billing);
        assert_eq!(found["severity"], "error");
        assert!(found["first_seen_ms"].as_u64() <= found["last_seen_ms"].as_u64());
        assert!(found["what_to_do"].as_str().unwrap().contains("hash tag"));

        let printed = sidecar.cli(&["report"]);
        assert_eq!(printed.status.code(), Some(1));
        let text = String::from_utf8(printed.stdout).unwrap();
        assert!(
            text.contains("several_slots:DEL") && text.contains("billing"),
            "{text}"
        );
    }
}

#[test]
fn a_command_that_the_target_lacks_is_found_whatever_the_target_is() {
    let source = RedisServer::start();
    let target = RedisServer::options()
        .arguments(&["--rename-command", "GETDEL", ""])
        .start();
    let sidecar = Sidecar::new().source(&source).target(&target).start();
    let admin = sidecar.admin();
    let asked = eventually(LIMIT, || {
        admin.get("/v1/report").json["target_commands_known"] == true
    });
    assert!(asked, "the target was not asked for its commands");
    let mut client = Client::connect(sidecar.addr("app"));
    send(
        &mut client,
        &["SET k v", "DEL a b", "WAIT 0 10", "GETDEL k"],
    );
    let report = admin.get("/v1/report").json;
    assert_eq!(names(&report), [("missing:GETDEL".to_owned(), 1)]);
}

#[test]
fn an_error_stands_in_the_way_of_a_cutover_until_it_is_accepted() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("target.profile", "active_active")
        .set(
            "cutover.accept_findings",
            vec!["several_slots:MSET".to_owned()],
        )
        .start();
    let admin = sidecar.admin();
    admin.migrate_until_ready();
    let mut client = Client::connect(sidecar.addr("app"));
    send(&mut client, &["MSET a 1 b 2", "DEL x y", "UNLINK z"]);

    assert_eq!(finding(admin, "several_slots:MSET")["accepted"], true);
    let refused = admin.cutover();
    let reasons = refused.json["error"]["reasons"].to_string();
    assert_eq!(refused.status, 409, "{reasons}");
    assert!(reasons.contains("several_slots:DEL"), "{reasons}");
    assert!(
        !reasons.contains("MSET") && !reasons.contains("UNLINK"),
        "{reasons}"
    );

    let wrong = admin.post("/v1/cutover", &json!({"accept": ["severalslots"]}));
    assert_eq!(wrong.status, 422, "{wrong:?}");
    let accepted = json!({"accept": ["several_slots:del"]});
    let ended = admin.post("/v1/cutover", &accepted);
    assert_eq!(ended.json["outcome"], "committed", "{ended:?}");
    assert_eq!(client.call(&["GET", "a"]), Reply::bulk("1"));
}

#[test]
fn functions_that_are_loaded_on_the_source_are_read() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let library = "#!lua name=orders\n\
        redis.register_function('fill', function(keys, args)\n\
        redis.call('SET', 'total', args[1])\n\
        redis.call('SWAPDB', '0', '1')\n\
        return redis.call('GET', keys[1])\nend)";
    let loaded = source.client().call(&["FUNCTION", "LOAD", library]);
    assert_eq!(loaded, Reply::bulk("orders"));
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("target.profile", "active_active")
        .start();
    let admin = sidecar.admin();
    let expected = ["undeclared_keys:FCALL", "unsupported:SWAPDB"];
    let mut found = vec![];
    let same = eventually(LIMIT, || {
        found = names(&admin.get("/v1/report").json);
        found.iter().map(|(name, _)| name).eq(expected)
    });
    assert!(same, "{found:?}");
    let example = finding(admin, "undeclared_keys:FCALL")["example"].to_string();
    assert!(example.contains("library orders"), "{example}");

    // One that is loaded through the proxy is seen as it comes.
    let mut client = Client::connect(sidecar.addr("app"));
    let other = library.replace("orders", "more").replace("fill", "more");
    client.call(&["FUNCTION", "LOAD", &other]);
    finding(admin, "undeclared_keys:FUNCTION LOAD");
}

#[test]
fn counters_near_the_end_of_those_of_an_active_active_database_are_found_whatever_they_are_changed_by()
 {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("target.profile", "active_active")
        .start();
    let admin = sidecar.admin();
    let mut client = Client::connect(sidecar.addr("app"));
    let counters = || {
        let preflight = admin.get("/v1/preflight").json;
        let findings = preflight["findings"].as_array().unwrap().iter();
        let found = findings
            .clone()
            .find(|finding| finding["check"] == "counters");
        found.cloned()
    };
    assert!(counters().is_none(), "nobody counts");
    send(&mut client, &["INCR few", "SET many 144115188075855871"]);
    assert_eq!(counters().unwrap()["level"], "ok");
    send(&mut client, &["INCR many"]);
    let found = counters().unwrap();
    assert_eq!(found["level"], "warning", "{found}");
    assert!(
        found["message"].as_str().unwrap().ends_with(": many"),
        "{found}"
    );
    send(
        &mut client,
        &[
            "HSET h f 288230376151711744",
            "HINCRBY h f -1",
            "HINCRBY h f 1",
        ],
    );
    let found = counters().unwrap();
    assert_eq!(found["level"], "error", "{found}");
    assert!(
        found["message"].as_str().unwrap().ends_with(": h f"),
        "{found}"
    );
}

#[test]
fn scripts_that_are_called_by_their_digest_and_never_seen_are_told() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut past = source.client();
    let unseen = past.call(&["SCRIPT", "LOAD", "return 1"]).into_text();
    let seen = past.call(&["SCRIPT", "LOAD", "return 2"]).into_text();
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("target.profile", "active_active")
        .start();
    let mut client = Client::connect(sidecar.addr("app"));
    for digest in [&unseen, &seen, &seen.to_uppercase()] {
        client.call(&["EVALSHA", digest, "0"]);
    }
    // As libraries do that find it missing: it is seen all the same.
    client.call(&["EVAL", "return 2", "0"]);
    let report = sidecar.admin().get("/v1/report").json;
    assert_eq!(report["unseen_scripts"], json!([unseen]), "{report:#}");
}
