#!/usr/bin/env python3
"""Writes src/command/table.rs and tests/data/command-*.tsv from what servers say about their own commands.

    dev/command-table.py redis-server /path/to/newer/redis-server /path/to/valkey-server

Each binary is started on a free port of the loopback interface without persistence, asked COMMAND and INFO, and
stopped. Name the newest server last: its key positions win. What any of them flags as a write is a write. The result
is committed; building Handover needs neither this script nor those servers. It decides nothing: which command may
write and what it does to a session is in src/command/policy.rs.
"""

import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_SECONDS_MAX = 10

# Flag of COMMAND, or ACL category of it, to the constant in src/command/flags.rs.
FLAGS = {
    "write": "WRITE",
    "readonly": "READONLY",
    "admin": "ADMIN",
    "blocking": "BLOCKING",
    "pubsub": "PUBSUB",
    "no_multi": "NO_MULTI",
    "may_replicate": "MAY_REPLICATE",
    "@dangerous": "DANGEROUS",
}


def main(binaries):
    if not binaries:
        sys.exit(__doc__)
    merged, servers = {}, []
    for binary in binaries:
        server, commands = ask(binary)
        servers.append(server)
        record(server, commands)
        for command in commands:
            merge(merged, command)
    write_table(servers, merged)


def ask(binary):
    """Name and version of a server, and its commands and subcommands, flat, by name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory],
            stdout=subprocess.DEVNULL,
        )
        try:
            reader = connect(port).makefile("rwb")
            info = call(reader, b"INFO server").decode()
            commands = [plain(entry) for entry in call(reader, b"COMMAND")]
        finally:
            server.terminate()
            server.wait()
    flat = [entry for command in commands for entry in (command, *command["subcommands"])]
    return name_of(info), sorted(flat, key=lambda command: command["name"])


def connect(port):
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def call(reader, line):
    reader.write(line + b"\r\n")
    reader.flush()
    return reply(reader)


def reply(reader):
    line = reader.readline().rstrip(b"\r\n")
    kind, rest = line[:1], line[1:]
    if kind == b"*":
        return [reply(reader) for _ in range(int(rest))]
    if kind == b"$":
        return None if rest == b"-1" else reader.read(int(rest) + 2)[:-2]
    if kind == b":":
        return int(rest)
    if kind == b"+":
        return rest
    raise ValueError(line)


def name_of(info):
    for product in ("valkey", "redis"):
        version = re.search(rf"^{product}_version:(\S+)", info, re.M)
        if version:
            return f"{product}-{version.group(1)}"
    raise ValueError("INFO names no version")


def plain(entry):
    """One entry of COMMAND (Redis 7: name, arity, flags, first, last, step, categories, tips, key specs, subs)."""
    name, arity, flags, first, last, step, categories, _tips, specs, subs = entry
    flags = [flag.decode() for flag in flags] + [c.decode() for c in categories if c == b"@dangerous"]
    return {
        "name": name.decode().upper().replace("|", " "),
        "arity": arity,
        "flags": set(flags),
        "range": (first, last, step),
        "specs": [spec_of(spec) for spec in specs],
        "subcommands": [plain(sub) for sub in subs],
    }


def pairs(flat):
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


def spec_of(spec):
    """(where the search begins, how keys are found from there), each as (type, fields)."""
    spec = pairs(spec)
    halves = [pairs(spec["begin_search"]), pairs(spec["find_keys"])]
    return [(half["type"].decode(), pairs(half["spec"])) for half in halves]


def record(server, commands):
    lines = ["# name, arity, flags, first key, last key, step: what COMMAND of this server says\n"]
    for command in commands:
        flags = ",".join(sorted(command["flags"])) + (",container" if command["subcommands"] else "")
        first, last, step = command["range"]
        lines.append(f"{command['name']}\t{command['arity']}\t{flags.lstrip(',')}\t{first}\t{last}\t{step}\n")
    path = ROOT / "tests" / "data" / f"command-{server}.tsv"
    path.write_text("".join(lines))


def merge(merged, command):
    if command["subcommands"] and command["arity"] < -1:
        return  # a container that is no command by itself
    seen = merged.setdefault(command["name"], command)
    if seen is command:
        return
    write = "write" in seen["flags"] | command["flags"]
    seen["flags"] |= command["flags"]
    if write:
        seen["flags"].discard("readonly")
    if abs(command["arity"]) < abs(seen["arity"]) or command["arity"] < 0 < seen["arity"]:
        seen["arity"] = command["arity"]
    seen["range"], seen["specs"] = command["range"], command["specs"]


def keys_of(command):
    """The expression that builds `Keys`, from the key specifications."""
    specs = command["specs"]
    words = {begin[1]["keyword"].decode() for begin, _ in specs if begin[0] == "keyword"}
    counted = [(begin[1]["index"], find[1]) for begin, find in specs if find[0] == "keynum"]
    if words == {"STREAMS"}:
        return "Keys::Streams"
    if words == {"STORE", "STOREDIST"}:
        return "Keys::Store"
    if words == {"KEYS"}:
        return "Keys::Migrate"
    if command["name"] == "SORT":  # its STORE is not in the specification ("unknown")
        return "Keys::Store"
    if counted:
        index, find = counted[0]
        assert (find["keynumidx"], find["firstkey"], find["keystep"]) == (0, 1, 1), command["name"]
        return f"counted_after_target({index})" if len(specs) == 2 else f"counted({index})"
    first, last, step = command["range"]
    return f"range({first}, {last}, {step})" if first else "Keys::None"


def write_table(servers, merged):
    lines = [
        "//! Every command that the servers named below describe: arity, flags and key positions as their `COMMAND` says.\n",
        "//!\n",
        f"//! Written by `dev/command-table.py` from {', '.join(servers)}. Do not edit: what\n",
        "//! Handover makes of a command is decided in `policy.rs`; commands that none of these servers has are in `extra.rs`.\n\n",
        "use super::flags::{" + ", ".join(sorted(used_flags(merged))) + "};\n",
        "use super::keys::Keys;\n",
        "use super::row::{Row, counted, counted_after_target, range, row};\n\n",
        "#[rustfmt::skip] // one command a line\n",
        "pub(super) static ROWS: &[Row] = &[\n",
    ]
    for name in sorted(merged):
        command = merged[name]
        lines.append(f'    row("{name}", {command["arity"]}, {flags_of(command)}, {keys_of(command)}),\n')
    lines.append("];\n")
    (ROOT / "src" / "command" / "table.rs").write_text("".join(lines))


def used_flags(merged):
    return {FLAGS[flag] for command in merged.values() for flag in command["flags"] if flag in FLAGS}


def flags_of(command):
    names = [constant for flag, constant in FLAGS.items() if flag in command["flags"]]
    return " | ".join(names) or "0"


if __name__ == "__main__":
    main(sys.argv[1:])
