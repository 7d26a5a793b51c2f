//! What goes out with the program, held against it: every configuration that is shipped or shown is accepted, every command
//! and flag that a document, the unit, the image or the manifest names exists, and what is packed is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use toml::Table;

use crate::{Ended, run};

const UNIT: &str = "config/systemd/handover.service";
const IMAGE: &str = "config/container/Dockerfile";
const MANIFEST: &str = "config/kubernetes/handover.yaml";
/// Where a package puts the program.
const PROGRAM: &str = "/usr/bin/handover";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents at the top, by name.
fn documents() -> Vec<String> {
    let names = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_document = |name: &String| Path::new(name).extension().is_some_and(|end| end == "md");
    names.filter(is_document).collect()
}

/// Every whole configuration, with the place that it stands in.
fn configurations() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for file in ["config/handover.toml", "config/systemd/handover.toml"] {
        all.insert(file.to_owned(), read(file));
    }
    all.insert(MANIFEST.to_owned(), of_the_manifest());
    for document in documents() {
        let text = read(&document);
        let blocks = text.split("```toml\n").skip(1);
        for (number, block) in blocks.enumerate() {
            let block = block.split_once("```").unwrap().0;
            all.insert(
                format!("{document}, block {}", number + 1),
                block.to_owned(),
            );
        }
    }
    all
}

/// The text of the `ConfigMap`, which the manifest has indented below its name.
fn of_the_manifest() -> String {
    let manifest = read(MANIFEST);
    let (_, below) = manifest.split_once("  handover.toml: |\n").unwrap();
    let lines = below
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "));
    lines
        .map(|line| line.trim_start_matches("    "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The same configuration with files that are there: a secret of its own for each that it names, and an authority.
fn with_its_files(text: &str, directory: &TempDir) -> String {
    let authority = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let lines = text.lines().enumerate().map(|(number, line)| {
        let key = line.split('=').next().unwrap_or_default().trim();
        let content = match key {
            "ca" => authority.cert.pem(),
            key if key.ends_with("_file") && !key.starts_with('#') => format!("secret {number}"),
            _ => return line.to_owned(),
        };
        let file = directory.path().join(number.to_string());
        fs::write(&file, content).unwrap();
        format!("{key} = \"{}\"", file.display())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn checked(text: &str) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("handover.toml");
    fs::write(&file, with_its_files(text, &directory)).unwrap();
    run(["check", "--json", "--config", file.to_str().unwrap()])
}

#[test]
fn every_configuration_that_is_shipped_or_shown_is_accepted() {
    let all = configurations();
    for place in [MANIFEST, "README.md, block 1", "ACTIVE-ACTIVE.md, block 1"] {
        assert!(
            all.contains_key(place),
            "{place} is not among {:?}",
            all.keys()
        );
    }
    for (place, text) in &all {
        let ended = checked(text);
        assert_eq!(ended.code, 0, "{place}: {ended:?}");
    }
    // The kubelet reaches it over the network, which is said.
    let ended = checked(&all[MANIFEST]);
    assert!(
        ended
            .stderr
            .starts_with("caution: admin.bind: 0.0.0.0:9600"),
        "{ended:?}"
    );
    assert_eq!(ended.document()["cautions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_start_warns_of_a_token_that_can_be_read_on_its_way() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("handover.toml");
    // An address for documents, which no machine has: nobody is let in meanwhile.
    let text = "[[listener]]\nname = \"app\"\nbind = \"127.0.0.1:0\"\n[source]\nurl = \"redis://127.0.0.1:1\"\n\
                [target]\nurl = \"redis://127.0.0.1:2\"\n[admin]\nbind = \"203.0.113.1:9600\"\ntoken_file = \"\"\n";
    let state = format!("[state]\ndir = \"{}\"\n", directory.path().display());
    fs::write(&file, with_its_files(text, &directory) + "\n" + &state).unwrap();
    let ended = run(["run", "--config", file.to_str().unwrap()]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let warning = ended.stderr.lines().find(|line| line.contains("WARN"));
    let warning = warning.unwrap_or_else(|| panic!("{ended:?}"));
    assert!(
        warning.contains("203.0.113.1:9600 can be reached from elsewhere"),
        "{warning}"
    );
}

/// The arguments of each call of the program in a text: at the beginning of a line, after a prompt, in backticks, or by its
/// place.
fn calls(text: &str) -> Vec<Vec<String>> {
    let begins = ["\n", "\n$ ", "`", "/usr/bin/", "ExecStart=/usr/bin/"];
    let text = format!("\n{text}");
    let found = text.match_indices("handover ").filter(|(at, _)| {
        let before = &text[..*at];
        begins.iter().any(|begin| before.ends_with(begin))
    });
    let arguments = found.map(|(at, name)| {
        let rest = &text[at + name.len()..];
        let end = rest.find(['\n', '`', '#', '&']).unwrap_or(rest.len());
        rest[..end].split_whitespace().map(str::to_owned).collect()
    });
    arguments.collect()
}

/// The arguments of a list in brackets, as the image and the manifest have it.
fn listed(text: &str, after: &str) -> Vec<String> {
    let (_, list) = text.split_once(after).unwrap();
    let list = list.split_once(']').unwrap().0;
    list.split(',')
        .map(|word| word.trim().trim_matches('"').to_owned())
        .collect()
}

#[test]
fn every_command_and_flag_that_is_named_exists() {
    let mut named = vec![
        listed(&read(IMAGE), "CMD ["),
        listed(&read(MANIFEST), "args: ["),
    ];
    named.extend(calls(&read(UNIT)));
    for document in documents() {
        named.extend(calls(&read(&document)));
    }
    let mut flags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for arguments in named.iter().filter(|arguments| !arguments.is_empty()) {
        let (command, more) = arguments.split_first().unwrap();
        let known = flags.entry(command.clone()).or_default();
        known.extend(more.iter().filter(|word| word.starts_with("--")).cloned());
    }
    assert!(flags["run"].contains("--config") && flags["migrate"].contains("--confirm-flush"));
    for (command, flags) in flags {
        let help = match command.as_str() {
            flag if flag.starts_with("--") => run([flag]),
            "help" => run(["help"]),
            command => run([command, "--help"]),
        };
        assert_eq!(help.code, 0, "handover {command}: {help:?}");
        for flag in flags {
            let is_known = help.stdout.split_whitespace().any(|word| word == flag);
            assert!(
                is_known,
                "handover {command} has no {flag}:\n{}",
                help.stdout
            );
        }
    }
}

#[test]
fn what_the_image_takes_in_is_there_and_what_it_opens_is_configured() {
    let image = read(IMAGE);
    let copied = image
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"));
    let copied = copied.flat_map(|line| {
        let mut words = line.split(' ').collect::<Vec<_>>();
        words.pop();
        words
    });
    let copied = copied.collect::<Vec<_>>();
    let wanted = read("config/container/Dockerfile.dockerignore");
    assert!(copied.contains(&"src"));
    for path in copied {
        assert!(root().join(path).exists(), "{path}");
        assert!(wanted.contains(&format!("!{path}")), "{path} is left out");
    }
    assert!(image.contains(&format!("ENTRYPOINT [\"{PROGRAM}\"]")));
    let (_, ports) = image.split_once("EXPOSE ").unwrap();
    for port in ports.lines().next().unwrap().split(' ') {
        assert!(of_the_manifest().contains(&format!(":{port}\"")), "{port}");
    }
}

#[test]
fn what_is_packed_is_there_and_the_unit_finds_it() {
    let manifest: Table = read("Cargo.toml").parse().unwrap();
    let package = &manifest["package"]["metadata"]["deb"];
    let assets = package["assets"].as_array().unwrap();
    let assets = assets.iter().map(|asset| {
        let part = |at: usize| asset[at].as_str().unwrap().to_owned();
        (part(0), format!("/{}", part(1)))
    });
    let assets = assets.collect::<BTreeMap<_, _>>();
    for source in assets
        .keys()
        .filter(|source| !source.starts_with("target/"))
    {
        assert!(has_files(source), "{source}");
    }
    assert_eq!(assets["target/release/handover"], "/usr/bin/");
    let configuration = &assets["config/systemd/handover.toml"];
    let kept = package["conf-files"].as_array().unwrap();
    assert!(kept.iter().any(|file| file.as_str() == Some(configuration)));
    let unit = read(UNIT);
    assert!(unit.contains(&format!("ExecStart={PROGRAM} run --config {configuration}")));
    // The unit's directory for state is the one that a configuration has which says nothing of it.
    assert!(unit.contains("StateDirectory=handover\n"));
    assert!(read("config/handover.toml").contains("#dir = \"/var/lib/handover\""));
    let units = package["systemd-units"]["unit-scripts"].as_str().unwrap();
    assert_eq!(Path::new(UNIT).parent(), Some(Path::new(units)));
}

/// The values of each key of a unit, by its section and name, in their order.
fn keys_of(unit: &str) -> BTreeMap<(&str, &str), Vec<&str>> {
    let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut section = "";
    for line in unit.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, value)) = line.split_once('=') {
            keys.entry((section, key)).or_default().push(value);
        }
    }
    keys
}

#[test]
fn the_unit_starts_it_again_unless_that_is_of_no_use() {
    let unit = read(UNIT);
    let keys = keys_of(&unit);
    assert_eq!(keys[&("Service", "Restart")], ["on-failure"]);
    assert_eq!(keys[&("Unit", "StartLimitIntervalSec")], ["0"]);
    let final_codes = keys[&("Service", "RestartPreventExitStatus")][0];
    let is_final = |ended: &Ended| {
        let code = ended.code.to_string();
        final_codes.split(' ').any(|word| word == code)
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("handover.toml");
    let started = |bind: &str, more: &str| {
        let text = format!(
            "[[listener]]\nbind = \"{bind}\"\n[source]\nurl = \"redis://127.0.0.1:1\"\n\
             [target]\nurl = \"redis://127.0.0.1:2\"\n[admin]\nbind = \"127.0.0.1:0\"\n\
             [state]\ndir = \"{}\"\n{more}",
            directory.path().display()
        );
        fs::write(&file, text).unwrap();
        run(["run", "--config", file.to_str().unwrap()])
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_the_way = started(&taken.local_addr().unwrap().to_string(), "");
    assert_eq!(in_the_way.code, 1, "{in_the_way:?}");
    assert!(!is_final(&in_the_way), "{final_codes}");
    let mistaken = started("127.0.0.1:0", "nonsense = 1\n");
    assert!(mistaken.stderr.contains("nonsense"), "{mistaken:?}");
    assert!(is_final(&mistaken), "{mistaken:?}");
    fs::write(directory.path().join("journal"), "no journal\n").unwrap();
    let damaged = started("127.0.0.1:0", "");
    assert!(damaged.stderr.contains("journal, line 1"), "{damaged:?}");
    assert!(is_final(&damaged), "{damaged:?}");
}

#[test]
fn the_unit_leaves_room_for_what_the_configuration_may_ask() {
    let unit = read(UNIT);
    let keys = keys_of(&unit);
    let seconds = |text: &str| text.trim_end_matches('s').parse::<u32>().unwrap();
    let configuration = read("config/handover.toml");
    let (_, drain) = configuration.split_once("#drain_timeout = \"").unwrap();
    let drain = drain.split_once('"').unwrap().0;
    assert!(seconds(keys[&("Service", "TimeoutStopSec")][0]) > seconds(drain));
    // `owner` needs a call that is part of what is taken away before.
    let filters = &keys[&("Service", "SystemCallFilter")];
    assert_eq!(filters[filters.len() - 2..], ["~@privileged", "@chown"]);
    // `bind = "unix:/run/handover/…"`, as the documents have it.
    assert_eq!(keys[&("Service", "RuntimeDirectory")], ["handover"]);
    // Passwords: what the document has handed over is what it has read.
    let document = read("RUNNING.md");
    let handed =
        |name: &str| document.contains(&format!("\nLoadCredential={name}:/etc/handover/{name}\n"));
    let (_, asked) = document.split_once("${CREDENTIALS_DIRECTORY}/").unwrap();
    assert!(handed(asked.split_once('"').unwrap().0));
}

/// Whether there is at least one file: `folder/*.ending` means each with that ending.
fn has_files(source: &str) -> bool {
    let Some((folder, ending)) = source.split_once('*') else {
        return root().join(source).is_file();
    };
    let mut entries = fs::read_dir(root().join(folder)).unwrap();
    entries.any(|entry| {
        let name = entry.unwrap().file_name();
        name.to_str().unwrap().ends_with(ending)
    })
}

#[test]
fn calls_are_found_and_other_words_are_not() {
    let text = "handover run --config a\n$ handover status   # why\nSee `handover help`.\nthe handover of it\n\
                ExecStart=/usr/bin/handover check\n";
    let expected: [&[&str]; 4] = [
        &["run", "--config", "a"],
        &["status"],
        &["help"],
        &["check"],
    ];
    assert_eq!(calls(text), expected);
}
