//! The comparison as an operator has it: through the sidecar, with servers of different versions.

use crate::kit::{RedisServer, Reply, Sidecar, newer_servers};
use serde_json::{Value, json};

/// Every type, small and large: more than a mebibyte.
fn fill(server: &RedisServer) {
    let mut client = server.client();
    let fill = r"
        for size, count in pairs({small = 5, large = 20000}) do
            for at = 1, count do
                local pad = string.rep('x', 60) .. at
                redis.call('HSET', 'hash:' .. size, at, pad)
                redis.call('RPUSH', 'list:' .. size, pad)
                redis.call('SADD', 'set:' .. size, pad)
                redis.call('ZADD', 'zset:' .. size, at / 3, pad)
                redis.call('XADD', 'stream:' .. size, at .. '-1', 'field', pad)
            end
            redis.call('XGROUP', 'CREATE', 'stream:' .. size, 'readers', '3-1')
            redis.call('SADD', 'numbers:' .. size, 1, 2, 3, count)
            redis.call('SET', 'string:' .. size, string.rep('y', count * 100))
        end";
    let reply = client.call(&["EVAL", fill, "0"]);
    assert!(!matches!(reply, Reply::Error(_)), "{reply:?}");
}

/// The summary that `handover verify --json` prints, and the exit code.
fn verify(sidecar: &Sidecar, arguments: &[&str]) -> (Value, Option<i32>) {
    let arguments = [&["verify", "--json"], arguments].concat();
    let output = sidecar.cli(&arguments);
    let summary = serde_json::from_slice(&output.stdout);
    (
        summary.unwrap_or_else(|error| panic!("{error}: {output:?}")),
        output.status.code(),
    )
}

fn differing(summary: &Value) -> Vec<(&str, &str)> {
    let sample = summary["sample"].as_array().unwrap();
    sample
        .iter()
        .map(|it| (it["key"].as_str().unwrap(), it["what"].as_str().unwrap()))
        .collect()
}

#[test]
fn servers_of_different_versions_with_the_same_contents_do_not_differ() {
    for (name, program) in newer_servers() {
        let source = RedisServer::start();
        let target = RedisServer::options().program(program).start();
        fill(&source);
        fill(&target);
        let sidecar = Sidecar::new().source(&source).target(&target).start();
        let (summary, code) = verify(&sidecar, &["--rate", "0"]);
        assert_eq!(
            (&summary["keys"], &summary["differing"], code),
            (&json!(14), &json!(0), Some(0)),
            "{name}: {summary:#}"
        );
    }
}

#[test]
fn times_to_live_of_fields_belong_to_a_hash() {
    for (name, program) in newer_servers() {
        let [source, target] = [(); 2].map(|()| RedisServer::options().program(&program).start());
        fill(&source);
        fill(&target);
        let mut client = target.client();
        for size in ["small", "large"] {
            let key = format!("hash:{size}");
            let reply = client.call(&["HPEXPIRE", &key, "5000000", "FIELDS", "1", "3"]);
            if matches!(&reply, Reply::Error(text) if text.contains("unknown command")) {
                continue;
            }
            assert_eq!(reply, Reply::Array(vec![Reply::Integer(1)]), "{name}");
        }
        let known = !matches!(
            client.call(&["HPTTL", "hash:small", "FIELDS", "1", "3"]),
            Reply::Error(_)
        );
        let sidecar = Sidecar::new().source(&source).target(&target).start();
        let (summary, _) = verify(&sidecar, &["--rate", "0"]);
        let expected: &[(&str, &str)] = if known {
            &[
                ("hash:large", "time_to_live"),
                ("hash:small", "time_to_live"),
            ]
        } else {
            &[]
        };
        assert_eq!(differing(&summary), expected, "{name}: {summary:#}");
    }
}

#[test]
fn a_comparison_is_offered_and_names_the_sides_rightly_after_the_cutover() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    fill(&source);
    let sidecar = Sidecar::new().source(&source).target(&target).start();
    sidecar.admin().migrate_until_ready();
    let status = sidecar.cli(&["status"]);
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(text.contains("`handover verify`"), "{text}");
    let (summary, code) = verify(&sidecar, &[]);
    assert_eq!(
        (&summary["differing"], code),
        (&json!(0), Some(0)),
        "{summary:#}"
    );

    sidecar.admin().must_cut_over();
    // The source follows the target now; what it lacks, and what it has beyond, was done to it.
    let mut follower = source.client();
    for request in [
        &["CONFIG", "SET", "replica-read-only", "no"][..],
        &["DEL", "list:small"],
        &["SET", "extra", "abc"],
    ] {
        let reply = follower.call(request);
        assert!(!matches!(reply, Reply::Error(_)), "{request:?}: {reply:?}");
    }
    let (summary, code) = verify(&sidecar, &["--full"]);
    assert_eq!(code, Some(5), "{summary:#}");
    assert_eq!(
        differing(&summary),
        [
            ("extra", "missing_on_target"),
            ("list:small", "missing_on_source")
        ]
    );
    let extra = &summary["sample"][0];
    assert_eq!(
        (
            &extra["source"]["type"],
            &extra["source"]["length"],
            &extra["target"]
        ),
        (&json!("string"), &json!(3), &Value::Null)
    );
    assert_eq!(summary["caught_up"], true, "{summary:#}");
}
