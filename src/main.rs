//! The `handover` command.

fn main() {}
