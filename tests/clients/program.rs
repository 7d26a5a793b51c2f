//! An application as a child process: it says `ready` and `done ACCOUNT`, it hears `moved`, and ends when it hears no
//! more.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use crate::kit::Program;
use crate::kit::installed;
use crate::world::World;

/// A program of `tests/clients` in Python.
pub(crate) fn python(program: &str, world: &World, arguments: &[&str]) -> Program {
    start(installed("venv/bin/python"), program, world, arguments)
}

/// A program of `tests/clients` in JavaScript.
pub(crate) fn node(program: &str, world: &World, arguments: &[&str]) -> Program {
    installed("node_modules");
    start("node".into(), program, world, arguments)
}

fn start(interpreter: PathBuf, program: &str, world: &World, arguments: &[&str]) -> Program {
    let port = world.address().port().to_string();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(program);
    let mut command = Command::new(interpreter);
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(path)
        .arg(port)
        .args(arguments);
    Program::start(program, &mut command)
}
