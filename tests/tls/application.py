"""An application over TLS that shows a certificate: counts on one connection, before the cutover and after it."""

import sys

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

ROUNDS = 200

port, ca, cert, key = sys.argv[1:]
client = redis.Redis(
    host="127.0.0.1",
    port=int(port),
    ssl=True,
    ssl_ca_certs=ca,
    ssl_certfile=cert,
    ssl_keyfile=key,
    ssl_check_hostname=True,
    single_connection_client=True,
    retry=Retry(NoBackoff(), 0),
    socket_timeout=20,
)


def work():
    for _ in range(ROUNDS):
        client.incr("python")
    large = "x" * 300_000
    client.set("large", large)
    assert client.get("large") == large.encode()
    with client.pipeline(transaction=True) as pipeline:
        pipeline.incr("python").incr("python")
        pipeline.execute()


work()
print("ready", flush=True)
assert sys.stdin.readline() == "moved\n"
work()
print("done", client.get("python").decode(), flush=True)
sys.stdin.readline()
