//! A person, or a shell script, that uses redis-cli: single commands, commands from a pipe, mass insertion, sessions that
//! stay open.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::Reply;
use crate::program::Program;
use crate::world::{Account, World};

/// A blocking pop with this time limit begins before the cutover and runs out after it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Repetitions of one command by one redis-cli, and the pause between two, in seconds.
const REPETITIONS: usize = 300;
const INTERVAL: &str = "0.005";
const ITEMS: usize = 300;
const SCRIPT: &str = "return {redis.call('INCR', KEYS[1]), redis.call('RPUSH', KEYS[2], ARGV[1])}";

struct Shell<'a> {
    world: &'a World,
    account: Account,
}

/// Sessions that are open across the cutover.
struct Standing {
    transaction: Program,
    lock: Program,
    worker: Program,
    patient: (Program, Instant),
    subscriber: Program,
    monitor: Program,
    insertion: Program,
}

pub(crate) fn run(world: &World) {
    let mut shell = Shell {
        world,
        account: Account::default(),
    };
    let items: Vec<String> = (0..ITEMS)
        .map(|item| format!("SET item:{item} 1"))
        .collect();
    shell.pipe(&[], &items.join("\n"));
    shell.pipe(&[], "XGROUP CREATE orders workers $ MKSTREAM\n");
    shell.everything_once();
    let standing = Standing::begin(&shell);
    let publishing = Publishing::begin(&shell);
    let connected = world.connections();
    let repeating = shell.long(&[
        "-r",
        &REPETITIONS.to_string(),
        "-i",
        INTERVAL,
        "INCR",
        "repeated",
    ]);

    world.cut_over();
    world.must_still_have(&connected);
    let sent = publishing.end();
    standing.finish(&mut shell, sent);
    for count in 1..=REPETITIONS {
        assert_eq!(repeating.line(), count.to_string());
    }
    shell.everything_once();
    world.check_account(&shell.account);
    let repeated = world.target().call(&["GET", "repeated"]);
    assert_eq!(repeated, Reply::bulk(&REPETITIONS.to_string()));
}

impl Shell<'_> {
    /// `redis-cli -p PORT`, and what is to follow.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.world.address().port().to_string()]);
        command.args(arguments);
        command
    }

    /// One that runs to its end; gives its output.
    fn once(&self, arguments: &[&str]) -> String {
        self.pipe(arguments, "")
    }

    /// One that is given its input at once.
    fn pipe(&self, arguments: &[&str], input: &str) -> String {
        let mut command = self.command(arguments);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("cannot start redis-cli: {error}; run `dev/setup tests`")
        });
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "redis-cli {arguments:?}: {text}");
        text
    }

    /// One that goes on.
    fn long(&self, arguments: &[&str]) -> Program {
        Program::start("redis-cli", &mut self.command(arguments))
    }

    fn written(&self, name: &str) -> i64 {
        self.account.written.get(name).copied().unwrap_or_default()
    }

    fn wrote(&mut self, name: &str) {
        *self.account.written.entry(name.to_owned()).or_default() += 1;
    }

    /// The next write under a name, as two commands.
    fn next(&self, name: &str) -> String {
        format!(
            "INCR count:{name}\nRPUSH list:{name} {}\n",
            self.written(name)
        )
    }

    fn everything_once(&mut self) {
        self.pipes();
        self.transaction();
        self.lock();
        self.script();
        self.stream();
        let scanned = self.once(&["--scan", "--pattern", "item:*"]);
        let items: BTreeSet<String> = (0..ITEMS).map(|item| format!("item:{item}")).collect();
        assert_eq!(
            scanned.lines().map(str::to_owned).collect::<BTreeSet<_>>(),
            items
        );
        self.once(&["HSET", "hash", "field", "value"]);
        let [resp2, resp3] =
            ["-2", "-3"].map(|protocol| self.once(&[protocol, "--no-raw", "HGETALL", "hash"]));
        assert_eq!(resp2, "1) \"field\"\n2) \"value\"\n");
        assert_eq!(resp3, "1# \"field\" => \"value\"\n");
        let named = self.pipe(
            &["-n", "3"],
            "CLIENT SETNAME night-shift\nCLIENT GETNAME\nCLIENT INFO\n",
        );
        assert!(
            named.starts_with("OK\nnight-shift\n") && named.contains(" db=3 "),
            "{named}"
        );
        assert_eq!(self.once(&["BLPOP", "nothing", "0.2"]), "\n");
    }

    fn pipes(&mut self) {
        for _ in 0..10 {
            let output = self.pipe(&[], &self.next("piped"));
            self.wrote("piped");
            let count = self.written("piped");
            assert_eq!(output, format!("{count}\n{count}\n"));
        }
        // Mass insertion: everything in one stream, the replies counted.
        let mut commands = String::new();
        for _ in 0..100 {
            commands.push_str(&self.next("inserted").replace('\n', "\r\n"));
            self.wrote("inserted");
        }
        let output = self.pipe(&["--pipe"], &commands);
        assert!(output.ends_with("errors: 0, replies: 200\n"), "{output}");
    }

    fn transaction(&mut self) {
        let output = self.pipe(&[], &format!("MULTI\n{}EXEC\n", self.next("transaction")));
        self.wrote("transaction");
        let count = self.written("transaction");
        assert_eq!(output, format!("OK\nQUEUED\nQUEUED\n{count}\n{count}\n"));
    }

    /// EXEC gives nothing when a rival was faster; without one the same succeeds.
    fn lock(&mut self) {
        let mut locker = self.long(&[]);
        let seen = self.written("lock").to_string();
        self.once(&["SET", "count:lock", &seen]);
        for rival in [true, false] {
            locker.ask("WATCH count:lock", &["OK"]);
            locker.ask("GET count:lock", &[&seen]);
            if rival {
                self.once(&["SET", "count:lock", &seen]);
            }
            locker.ask("MULTI", &["OK"]);
            for command in self.next("lock").lines() {
                locker.ask(command, &["QUEUED"]);
            }
            if rival {
                locker.ask("EXEC", &[""]);
            } else {
                self.wrote("lock");
                let count = self.written("lock").to_string();
                locker.ask("EXEC", &[&count, &count]);
            }
        }
        locker.end();
    }

    fn script(&mut self) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), SCRIPT).unwrap();
        let path = file.path().to_string_lossy();
        let number = self.written("script").to_string();
        let arguments = ["--eval", &path, "count:script", "list:script", ",", &number];
        let output = self.once(&arguments);
        self.wrote("script");
        let count = self.written("script");
        assert_eq!(output, format!("{count}\n{count}\n"));
    }

    fn stream(&mut self) {
        let id = self.once(&["XADD", "orders", "*", "parts", "2"]);
        let id = id.trim_end();
        let group = [
            "XREADGROUP",
            "GROUP",
            "workers",
            "worker-1",
            "BLOCK",
            "5000",
        ];
        let read = self.once(&[&group[..], &["STREAMS", "orders", ">"]].concat());
        assert_eq!(read, format!("orders\n{id}\nparts\n2\n"));
        assert_eq!(self.once(&["XACK", "orders", "workers", id]), "1\n");
        *self.account.streams.entry("orders".to_owned()).or_default() += 1;
    }
}

impl Standing {
    fn begin(shell: &Shell<'_>) -> Standing {
        let mut transaction = shell.long(&[]);
        transaction.ask("MULTI", &["OK"]);
        transaction.ask("INCR count:open", &["QUEUED"]);
        let mut lock = shell.long(&[]);
        lock.ask("WATCH count:lock", &["OK"]);
        let subscriber = shell.long(&["SUBSCRIBE", "numbers"]);
        subscriber.expect(&["subscribe", "numbers", "1"]);
        let monitor = shell.long(&["MONITOR"]);
        monitor.expect(&["OK"]);
        let mut insertion = shell.long(&["--pipe"]);
        insertion.say("RPUSH halves before\r");
        let worker = shell.long(&["BLPOP", "late-jobs", "0"]);
        let patience = PATIENCE.as_secs().to_string();
        let patient = (shell.long(&["BLPOP", "nothing", &patience]), Instant::now());
        shell.world.wait_for_blocked(2);
        Standing {
            transaction,
            lock,
            worker,
            patient,
            subscriber,
            monitor,
            insertion,
        }
    }

    fn finish(mut self, shell: &mut Shell<'_>, sent: usize) {
        let (patient, since) = self.patient;
        shell.once(&["RPUSH", "late-jobs", "job"]);
        self.worker.expect(&["late-jobs", "job"]);
        self.worker.end();
        self.transaction.ask("RPUSH list:open 0", &["QUEUED"]);
        self.transaction.ask("EXEC", &["1", "1"]);
        self.transaction.end();
        shell.wrote("open");
        self.lock.ask("MULTI", &["OK"]);
        self.lock.ask("SET count:lock wrong", &["QUEUED"]);
        self.lock.ask("EXEC", &[""]);
        self.lock.end();
        shell.once(&["GET", "seen-by-the-monitor"]);
        while !self.monitor.line().contains("seen-by-the-monitor") {}
        self.insertion.say("RPUSH halves after\r");
        self.insertion.end();
        assert_eq!(
            shell.once(&["LRANGE", "halves", "0", "-1"]),
            "before\nafter\n"
        );
        for number in 0..sent {
            self.subscriber
                .expect(&["message", "numbers", &number.to_string()]);
        }
        patient.expect(&[""]);
        let waited = since.elapsed();
        let expected = PATIENCE..PATIENCE + Duration::from_secs(1);
        assert!(expected.contains(&waited), "waited {waited:?}");
        patient.end();
    }
}

/// A session that publishes numbers without a break.
struct Publishing {
    over: Arc<AtomicBool>,
    thread: thread::JoinHandle<usize>,
}

impl Publishing {
    fn begin(shell: &Shell<'_>) -> Publishing {
        let mut publisher = shell.long(&[]);
        let mut publish = move |number: usize| {
            publisher.ask(&format!("PUBLISH numbers {number}"), &["1"]);
        };
        publish(0);
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut sent = 1;
            while !ends.load(Ordering::Relaxed) {
                publish(sent);
                sent += 1;
            }
            (sent..sent + 50).for_each(publish);
            sent + 50
        });
        Publishing { over, thread }
    }

    /// Gives how many were published, the last fifty of them after this was called.
    fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
