#!/usr/bin/env python3
"""Writes fuzz/seeds/TARGET/*: one small input for each thing that a target should know from the start.

The first bytes of an input are its plan; see fuzz/bodies. `config` has the example of config/handover.toml beside these.
"""

import json
import pathlib
import zlib

SEEDS = pathlib.Path(__file__).resolve().parent / "seeds"

REQUEST = [
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n",
    b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
    b"PING\r\nSET k \"a b\"\n",
    b"ECHO \"\\x41\\n\\\"\" 'it\\'s' pre\"fix ed\"\r\n",
    b"\r\n\n \t\x0b\r\n*0\r\n*-1\r\nPING\n",
    b"*1\rX$4\rYPINGZZ*1\r\n$4\r\nPING\n\r",
    b"*2\r\n$4\r\nECHO\r\n:1\r\n",
    b"*1\r\n$536870913\r\n",
    b"*2147483648\r\n",
    b"*11\r\n$16385\r\n",
    b"PI\0NG\r\n",
    b"*6\r\n" + b"$1\r\na\r\n" * 6,
    b"SET k \"open\r\n",
    b"*01\r\n",
]
REPLY = [
    b"+OK\r\n-ERR no\r\n:1\r\n$3\r\nabc\r\n$-1\r\n*-1\r\n_\r\n",
    b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n+b\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n#t\r\n",
    b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n+OK\r\n",
    b"|1\r\n+ttl\r\n:3600\r\n*1\r\n|1\r\n+a\r\n+b\r\n:1\r\n",
    b"*?\r\n:1\r\n*?\r\n.\r\n.\r\n%?\r\n+a\r\n+b\r\n.\r\n",
    b"$?\r\n;4\r\nabcd\r\n;0\r\n",
    b"=7\r\ntxt:abc\r\n!3\r\nERR\r\n,1.5\r\n(12345678901234567890123\r\n",
    b"*1\r\n" * 20 + b"$0\r\n\r\n",
    b"+a\rb\nc\r\n+\r\n",
    b"*18446744073709551615\r\n",
    b"$9223372036854775807\r\n",
]
CLASSIFY = [
    "get k", "SET k v EX 10", "config set maxmemory 1", "CONFIG GET *", "sort k BY nosort STORE dst", "SORT k",
    "georadius k 1 2 3 m STOREDIST dst", "BITFIELD k GET u8 0 OVERFLOW SAT INCRBY i5 1 1", "bitfield k get u8 0",
    "EVAL x 1 k", "eval_ro x 2 a b", "XREAD COUNT 1 BLOCK 5 STREAMS a b 0 0", "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
    "BLPOP a b 1.5", "BLMPOP 0.1 2 a b LEFT COUNT 3", "BRPOPLPUSH a b 0", "WAIT 1 100", "WAITAOF 1 1 10", "ACL LOG RESET",
    "ACL LOG 10", "CLIENT KILL ID 3", "CLIENT REPLY OFF", "MULTI", "EXEC", "HELLO 3 AUTH u p SETNAME n", "SUBSCRIBE a b",
    "PUBLISH c m", "SHUTDOWN NOSAVE", "DEBUG SLEEP 1", "MIGRATE h 1 k 0 1 COPY KEYS a b", "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
    "nosuch x", "FUNCTION LOAD x", "SCRIPT EXISTS a", "PSYNC ? -1", "QUIT", "POST / HTTP", "host: x", "MSET a 1 b 2",
    "SINTERCARD 2 a b LIMIT 1", "OBJECT FREQ k", "MEMORY USAGE k", "SLOWLOG RESET", "", "json.set k $ 1", "HSCAN k 0",
]
RECORDS = [
    {"kind": "opened", "source": "a", "target": "b"},
    {"kind": "migrating"},
    {"kind": "attempt", "number": 1, "from": "source"},
    {"kind": "aborted", "number": 1, "reasons": ["the drain took too long", "ünïcode \"quoted\""]},
    {"kind": "attempt", "number": 2, "from": "source"},
    {"kind": "committed", "number": 2, "active": "target", "reverse": True},
    {"kind": "reversed", "number": 2},
    {"kind": "attempt", "number": 3, "from": "target"},
    {"kind": "committed", "number": 3, "active": "source", "reverse": False},
    {"kind": "rolled_back"},
    {"kind": "stopped"},
    {"kind": "finalized"},
]
CONFIG = [
    'state.dir = "/s"\nsource.url = "redis://u:p@h:1/0"\ntarget.url = "rediss://h"\n[[listener]]\nbind = "127.0.0.1:1"\n',
    '[proxy]\nworkers = 0\nlanes = "of"\n[proxy.limits]\nbulk_bytes = "1MiB"\n[[listener]]\nbind = "unix:/x"\nmode = "0600"\n',
    '[source]\nurl = "${SET}://h"\nkind = "cluster"\n[cutover]\nmax_pause = "1h"\nmarker = "maybe"\nauto = 1\n',
    '[link]\ndriver = "external"\n[link.enterprise]\napi = "https://h:9443"\n[fleet]\netcd = []\n[nosuch]\nx = 1\n',
    '[admin]\nbind = "0.0.0.0:1"\ntoken_file = "/t"\n[log]\nlevel = "loud"\nformat = "json"\n[verify]\nrate = -1\n',
    '[[credentials]]\nclient_user = "u"\nclient_password_file = "/p"\ntarget_user = "v"\n',
    "= [ \" '''",
]
# Behind the password of a URL; in front of it and behind it.
URLS = ["h:1/0", "h:99999", "h/x", "[::1]:1", "h", "%zz@h:1", "/run/x.sock?db=1", "@\n@h:1", "\n@h:1/16", "x\n\"h"]


def main():
    for old in SEEDS.glob("*/*"):
        old.unlink()
    for number, stream in enumerate(REQUEST):
        write("request", number, bytes([number * 7 % 256, number % 3]) + stream)
    for number, stream in enumerate(REPLY):
        write("reply", number, bytes([number * 7 % 256]) + stream)
    for number, request in enumerate(CLASSIFY):
        write("classify", number, bytes([number * 11 % 256, number * 13 % 64]) + request.replace(" ", "\n").encode())
    for length in range(len(RECORDS) + 1):
        sealed = length % 2
        write("journal", length, bytes([sealed, length * 20, length * 17, 1 << length % 8]) + journal(RECORDS[:length]))
    write("journal", "torn", b"\0\0\0\0" + journal(RECORDS[:3])[:-9])
    write("journal", "gap", b"\0\0\0\0" + journal(RECORDS[:3]) + journal(RECORDS[:1]))
    for number, text in enumerate(CONFIG):
        write("config", number, b"\0" + text.encode())
    for number, text in enumerate(URLS):
        write("config", f"url-{number}", b"\1" + text.encode())


def journal(records):
    lines = []
    for sequence, record in enumerate(records, 1):
        line = {"sequence": sequence, "at_unix_ms": 1700000000000 + sequence, "record": record}
        text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)[:-1]
        lines.append(f'{text},"crc32":"{zlib.crc32(text.encode()):08x}"}}\n')
    return "".join(lines).encode()


def write(target, name, content):
    path = SEEDS / target / str(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


main()
