//! What stands around a hostile request: whatever changes what a session is, or how it is served.

use super::random::Random;

/// The words of one.
type Request = Vec<Vec<u8>>;
/// What comes before, and what comes behind, a line a request.
type Around = (&'static [&'static str], &'static [&'static str]);

/// Each of them alone; they are put together at random.
const AROUND: &[Around] = &[
    (&["HELLO 3"], &[]),
    (&["HELLO 2"], &[]),
    (&["HELLO 3 AUTH default x SETNAME me"], &[]),
    (&["HELLO 3 AUTH limited pw"], &[]),
    (&["HELLO 2 STORE AUTH limited wrong"], &[]),
    (&["HELLO 2 AUTH limited pw STORE"], &[]),
    (&["AUTH limited pw"], &[]),
    (&["AUTH default wrong"], &[]),
    (&["AUTH nobody wrong"], &[]),
    (&["SELECT 3"], &[]),
    (&["SELECT 99"], &[]),
    (&["RESET"], &[]),
    (&["MULTI"], &["EXEC"]),
    (&["MULTI", "GET str:0"], &["GET str:0", "EXEC"]),
    (&["MULTI", "SELECT 3"], &["EXEC"]),
    (&["MULTI"], &["DISCARD"]),
    (&["MULTI"], &[]),
    (&["MULTI", "MULTI"], &["EXEC", "EXEC"]),
    (&["WATCH str:0", "MULTI"], &["EXEC"]),
    (&["WATCH str:0 lst:0"], &["UNWATCH"]),
    (&["SUBSCRIBE ch"], &[]),
    (&["PSUBSCRIBE *"], &["PUNSUBSCRIBE"]),
    (&["SSUBSCRIBE shard"], &["SUNSUBSCRIBE shard"]),
    (&["HELLO 3", "SUBSCRIBE ch"], &["UNSUBSCRIBE ch"]),
    (&["CLIENT REPLY OFF"], &["CLIENT REPLY ON"]),
    (&["CLIENT REPLY SKIP"], &[]),
    (&["CLIENT REPLY OFF", "MULTI"], &["EXEC"]),
    (&["CLIENT SETNAME hostile"], &[]),
    (&["CLIENT SETINFO LIB-NAME hostile"], &[]),
    (&["CLIENT NO-EVICT ON"], &[]),
    (&["CLIENT TRACKING ON"], &["CLIENT TRACKING OFF"]),
    (
        &["HELLO 3", "CLIENT TRACKING ON OPTIN", "CLIENT CACHING YES"],
        &[],
    ),
    (&["CLIENT ID"], &[]),
    (&["MONITOR"], &[]),
    (&["READONLY"], &["READWRITE"]),
    (&["ASKING"], &[]),
    (&["SCAN 0"], &["SCAN 0 COUNT 1"]),
    (&["XREAD BLOCK 1 STREAMS stm:0 $"], &[]),
    (&["WAIT 0 0"], &[]),
    (&["GET str:0", "LRANGE lst:0 0 -1"], &["GET str:0"]),
    (&["EVAL_RO return{KEYS[1]} 1 a"], &[]),
    (&["SCRIPT EXISTS x"], &[]),
    (&["REPLCONF listening-port 1"], &["REPLCONF ACK 1"]),
    (&["PSYNC ? -1"], &[]),
    (&["QUIT"], &[]),
    (&["EXEC"], &["DISCARD"]),
    (&[""], &[""]),
];

/// Requests before and behind the one in question, outermost first and last.
pub fn around(random: &mut Random) -> (Vec<Request>, Vec<Request>) {
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    let layers = [0, 0, 1, 1, 1, 2, 3][random.below(7)];
    for _ in 0..layers {
        let (opening, closing) = AROUND[random.below(AROUND.len())];
        before.extend(opening.iter().map(|line| words(line)));
        behind.splice(0..0, closing.iter().map(|line| words(line)));
    }
    (before, behind)
}

fn words(line: &str) -> Request {
    line.split(' ').map(|word| word.as_bytes().into()).collect()
}
