//! Databases that lie: lengths that never come, replies that nobody asked for or of the wrong kind, messages without end,
//! half replies and then silence. Who asked may lose its session, as if the database had closed it; memory stays bounded,
//! and the others go on.

use std::net::SocketAddr;
use std::time::Duration;

use super::bystander::beside_a_bystander;
use super::kit::{Client, Deed, Hazard, LIMIT, RedisServer, Reply, Sidecar, encode, eventually};
use super::memory::{MIB, Memory};

/// What a frame may have that is kept whole: sixteen times `session_reply_bytes`, which is a mebibyte here.
const WHOLE: u64 = 16 * MIB;
/// How much of something without end is sent.
const ENDLESS: usize = 4 * WHOLE as usize;
/// A shared connection is set aside before that (`lane_stall`), as a rule.
const STANDS_BEHIND: Duration = Duration::from_secs(1);
/// Part of every request that is answered with a lie.
const ASKED: &str = "the-truth";

/// A source that lies when it is told to, and a sidecar before it in which every session has its own connection: only who
/// asked hears the lie.
struct Liar {
    source: RedisServer,
    _target: RedisServer,
    road: Hazard,
    sidecar: Sidecar,
}

/// What a session does before it is lied to, the request, and the lie.
struct Lie<'a> {
    before: &'a [&'a [&'a str]],
    request: &'a [&'a str],
    answer: Vec<u8>,
}

impl Liar {
    fn new(lanes: &str, warnings: &[&str]) -> Liar {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let road = Hazard::before(source.addr());
        let mut sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("source.url", format!("redis://{}", road.addr()))
            .set("proxy.lanes", lanes)
            .set("proxy.limits.session_reply_bytes", "1MiB")
            .set("log.level", "info");
        for warning in warnings {
            sidecar = sidecar.expect_warning(warning);
        }
        Liar {
            sidecar: sidecar.start(),
            source,
            _target: target,
            road,
        }
    }

    fn app(&self) -> SocketAddr {
        self.sidecar.addr("app")
    }

    /// A session that was sent the lie.
    fn lied_to(&self, lie: &Lie<'_>) -> Client {
        let mut client = Client::connect(self.app());
        for request in lie.before {
            client.call(request);
        }
        self.road.at(ASKED, Deed::Answer(lie.answer.clone()));
        client.send(lie.request);
        client
    }

    fn serves_a_new_client(&self) {
        let mut client = Client::connect(self.app());
        assert_eq!(client.call(&["SET", "k", "v"]), Reply::ok());
        assert_eq!(self.source.client().call(&["GET", "k"]), Reply::bulk("v"));
    }
}

/// So many bytes of one string, behind its declaration.
fn endless(begins: &str) -> Vec<u8> {
    [begins.as_bytes(), &vec![b'x'; ENDLESS]].concat()
}

#[test]
fn giant_lengths_and_half_replies_are_passed_on_as_far_as_they_come() {
    for lanes in ["off", "auto"] {
        let mut liar = Liar::new(lanes, &[]);
        if lanes == "auto" {
            // The server's reply to whoever asks behind a half reply makes no sense as its rest.
            liar.sidecar.any_warning();
        }
        let memory = Memory::of(&liar.sidecar);
        let mut waiting = Vec::new();
        for half in [
            "$9223372036854775805\r\nabc",
            "$536870912\r\nabc",
            "*9223372036854775807\r\n:1\r\n",
            "*1000000000\r\n*1000000000\r\n",
            "$",
            "+half a line",
        ] {
            let mut client = liar.lied_to(&Lie {
                before: &[],
                request: &["GET", ASKED],
                answer: half.into(),
            });
            assert_eq!(client.read_bytes(half.len()), half.as_bytes());
            waiting.push(client);
            // Until a shared connection is set aside, others may stand behind the lie.
            let serves = || {
                let mut client = Client::connect(liar.app());
                client.set_limit(STANDS_BEHIND);
                client.try_call(&["GET", "k"]).is_ok()
            };
            assert!(
                eventually(LIMIT, serves),
                "{half:?} keeps everybody waiting"
            );
            beside_a_bystander(&liar.sidecar, || liar.serves_a_new_client());
        }
        memory.claim_peak("lengths that never come", 0);
        drop(waiting);
        let admin = liar.sidecar.admin();
        admin.wait_for("the clients' end", |status| status["sessions"]["open"] == 0);
    }
}

#[test]
fn a_reply_without_end_costs_what_a_client_may_have_waiting() {
    let liar = Liar::new("off", &[]);
    let memory = Memory::of(&liar.sidecar);
    let mut client = liar.lied_to(&Lie {
        before: &[],
        request: &["GET", ASKED],
        answer: endless("$9223372036854775805\r\n"),
    });
    // It takes nothing yet.
    beside_a_bystander(&liar.sidecar, || liar.serves_a_new_client());
    assert_eq!(client.read_bytes(ENDLESS).len(), ENDLESS);
    memory.claim_peak("a reply without end", 4 * MIB);
}

#[test]
fn what_must_be_kept_whole_and_never_ends_ends_its_connection() {
    let text = "must be kept whole; limit session_reply_bytes";
    let lies = [
        Lie {
            before: &[],
            request: &["AUTH", ASKED],
            answer: endless("$9223372036854775805\r\n"),
        },
        Lie {
            before: &[],
            request: &["AUTH", ASKED],
            answer: b"*1000000000\r\n"
                .iter()
                .copied()
                .chain(b":1\r\n".repeat(ENDLESS / 4))
                .collect(),
        },
        // A push: nobody asked.
        Lie {
            before: &[&["CLIENT", "SETNAME", "mine"]],
            request: &["GET", ASKED],
            answer: endless(">2\r\n+message\r\n$9223372036854775805\r\n"),
        },
        // A message.
        Lie {
            before: &[&["SUBSCRIBE", "news"]],
            request: &["SUBSCRIBE", ASKED],
            answer: endless("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$9223372036854775805\r\n"),
        },
        Lie {
            before: &[&["HELLO", "3"], &["SUBSCRIBE", "news"]],
            request: &["SUBSCRIBE", ASKED],
            answer: endless(">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$9223372036854775805\r\n"),
        },
    ];
    for lie in lies {
        let liar = Liar::new("off", &[text]);
        let memory = Memory::of(&liar.sidecar);
        beside_a_bystander(&liar.sidecar, || {
            let mut client = liar.lied_to(&lie);
            client.read_to_close();
            let told = || liar.sidecar.log().contains(text);
            assert!(eventually(LIMIT, told), "{:?}", lie.request);
        });
        // What was collected, in a buffer that doubles.
        memory.claim_peak("something whole without end", 3 * WHOLE);
        liar.serves_a_new_client();
    }
}

#[test]
fn messages_without_end_are_not_collected() {
    let liar = Liar::new("off", &[]);
    let memory = Memory::of(&liar.sidecar);
    let push = b">2\r\n+nobody\r\n+asked\r\n";
    let mut answer = push.repeat(ENDLESS / push.len());
    answer.extend_from_slice(b"$2\r\nok\r\n");
    beside_a_bystander(&liar.sidecar, || {
        let mut client = liar.lied_to(&Lie {
            before: &[&["CLIENT", "SETNAME", "mine"]],
            request: &["GET", ASKED],
            answer,
        });
        client.set_limit(3 * LIMIT);
        while client.read_reply() != Reply::bulk("ok") {}
    });
    memory.claim_peak("pushes without end", 4 * MIB);
}

#[test]
fn a_reply_that_nobody_asked_for_ends_its_connection() {
    for (lanes, answer, reason) in [
        ("off", "+OK\r\n+OK\r\n", "a reply that nobody asked for"),
        ("auto", "+OK\r\n+OK\r\n", "a reply that nobody asked for"),
        ("off", "?lie\r\n", "unexpected type byte"),
        ("auto", "$-7\r\n", "invalid length"),
    ] {
        let liar = Liar::new(lanes, &[reason]);
        let mut client = liar.lied_to(&Lie {
            before: &[],
            request: &["GET", ASKED],
            answer: answer.into(),
        });
        if answer.starts_with('+') {
            assert_eq!(client.read_reply(), Reply::ok());
        } else {
            client.read_to_close();
        }
        assert!(eventually(LIMIT, || liar.sidecar.log().contains(reason)));
        liar.serves_a_new_client();
    }
}

#[test]
fn replies_of_the_wrong_kind_harm_nobody_but_who_asked() {
    let kinds = [
        "+OK\r\n",
        "+QUEUED\r\n",
        "-ERR no\r\n",
        ":5\r\n",
        "$3\r\nabc\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*2\r\n:1\r\n*1\r\n+x\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n",
        "%1\r\n+a\r\n+b\r\n",
        "_\r\n",
        "#t\r\n",
        "~1\r\n:1\r\n",
        "|1\r\n+a\r\n+b\r\n+OK\r\n",
        "*?\r\n:1\r\n.\r\n",
    ];
    let multi: &[&[&str]] = &[&["MULTI"]];
    let requests: &[(&[&[&str]], &[&str])] = &[
        (&[], &["AUTH", ASKED]),
        (&[], &["HELLO", "3", "SETNAME", ASKED]),
        (&[], &["SCAN", "0", "MATCH", ASKED]),
        (&[], &["SUBSCRIBE", ASKED]),
        (&[], &["BLPOP", ASKED, "1"]),
        (&[], &["CLIENT", "SETNAME", ASKED]),
        (&[], &["WATCH", ASKED]),
        (&[], &["EVAL", ASKED, "0"]),
        (&[], &["CLIENT", "TRACKING", "ON", "PREFIX", ASKED]),
        (multi, &["GET", ASKED]),
        (multi, &["SELECT", ASKED]),
    ];
    let mut liar = Liar::new("off", &[]);
    liar.sidecar.any_warning();
    let memory = Memory::of(&liar.sidecar);
    beside_a_bystander(&liar.sidecar, || {
        for (before, request) in requests {
            for kind in kinds {
                let mut client = liar.lied_to(&Lie {
                    before,
                    request,
                    answer: kind.into(),
                });
                // It may be answered, closed, or left waiting for a reply that makes sense; whatever it does next.
                client.send_raw(&[encode(&["EXEC"]), encode(&["PING"])].concat());
                assert!(
                    eventually(LIMIT, || liar.road.met().is_some()),
                    "{request:?}"
                );
            }
        }
    });
    memory.claim_peak("replies of the wrong kind", 2 * MIB);
    liar.serves_a_new_client();
}
