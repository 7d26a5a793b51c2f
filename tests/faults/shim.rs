//! A sidecar whose wall clock and disk are what a test says. See `shim.c`, which is compiled here and put before the
//! system's library.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::kit::SidecarBuilder;

/// What the clock and the disk are like.
pub struct Shim {
    directory: TempDir,
}

impl Shim {
    /// All is well until something is said.
    pub fn new() -> Shim {
        let directory = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(directory.path().join("shim.so"))
            .arg(source)
            .output()
            .unwrap_or_else(|error| panic!("cannot run cc: {error}; dev/setup installs it"));
        assert!(
            compiled.status.success(),
            "{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        let shim = Shim { directory };
        shim.say("");
        shim
    }

    /// The same sidecar, with the shim.
    pub fn under(&self, sidecar: SidecarBuilder) -> SidecarBuilder {
        sidecar
            .env("LD_PRELOAD", self.path("shim.so").to_str().unwrap())
            .env("HANDOVER_SHIM", self.path("says").to_str().unwrap())
    }

    /// What is so from now on; see `shim.c`.
    pub fn say(&self, what: &str) {
        // In one step: it may be read at any moment.
        std::fs::write(self.path("next"), what).unwrap();
        std::fs::rename(self.path("next"), self.path("says")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
