#!/usr/bin/env python3
"""An application that uses redis-py with threads and a connection pool: redis_py_sync.py PORT resp2|resp3 [cached]

With `cached` it also caches on the client's side, which redis-py does with Redis 7.4 and later. No retry is configured:
any error, also in a thread, ends it with a traceback.
"""

import sys
import threading
import time

import redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.retry import Retry

from application import ITEMS, LIMIT_SECONDS, PATIENCE_SECONDS, PIPELINE, SCRIPT
from application import Account, eventually, hear, join, say, say_done, spawn


def main():
    port, protocol, cached = int(sys.argv[1]), sys.argv[2], "cached" in sys.argv

    def connect(**options):
        return redis.Redis(
            port=port,
            protocol=3 if protocol == "resp3" else 2,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=LIMIT_SECONDS,
            health_check_interval=0,
            **options,
        )

    client, account = connect(max_connections=50), Account()
    client.mset({f"item:{number}": number for number in range(ITEMS)})
    client.xgroup_create("orders", "workers", mkstream=True)
    client.xgroup_create("parcels", "workers", mkstream=True)
    named = connect(client_name="billing", db=3)
    cache = Cache(client, connect(cache_config=CacheConfig())) if cached else None

    everything_once(client, named, account)
    load = Load(client, account)
    standing = Standing(client, account)
    eventually(lambda: load.sent >= 50)
    say("ready")

    assert hear() == "moved"
    assert standing.patient.is_alive(), "the cutover took longer than a blocked pop has patience"
    standing.finish()
    everything_once(client, named, account)
    if cache:
        cache.must_follow_changes()
    sent = load.sent
    eventually(lambda: load.sent >= sent + 50)
    load.finish()
    say_done(account)
    assert hear() == "", "the test looks at the connections before they are closed"


def everything_once(client, named, account):
    pipeline(client, account)
    transaction(client, account, "transaction", 2)
    optimistic_lock(client, account)
    blocking_pops(client, account)
    script(client, account)
    stream(client, account, "orders", 5)
    assert set(client.scan_iter("item:*", count=20)) == all_items()
    client.hset("hash", mapping={"a": "1", "b": "2"})
    assert client.hgetall("hash") == {"a": "1", "b": "2"}
    assert named.client_getname() == "billing"
    assert named.incr("visits") and named.client_info()["db"] == 3


def pipeline(client, account, name="pipeline"):
    pipe = client.pipeline(transaction=False)
    account.queue(pipe, name, PIPELINE)
    account.settle(name, pipe.execute())


def transaction(client, account, name, times=1):
    with client.pipeline(transaction=True) as pipe:
        account.queue(pipe, name, times)
        account.settle(name, pipe.execute())


def optimistic_lock(client, account):
    """`Redis.transaction` tries again when a watched key has changed; here a rival changes it once."""
    rivals = [lambda seen: client.set("count:lock", seen)]

    def body(pipe):
        seen = int(pipe.get("count:lock") or 0)
        assert seen == account.written["lock"]
        if rivals:
            rivals.pop()(seen)
        pipe.multi()
        account.queue(pipe, "lock")

    account.settle("lock", client.transaction(body, "count:lock"))


def blocking_pops(client, account):
    """One that is served while it waits, one that finds something, one whose time runs out."""
    first = account.written["jobs"]
    waiting = spawn(work_off, client, account, "jobs", 2)
    client.rpush("jobs", first)
    client.rpush("jobs", first + 1)
    join(waiting)
    began = time.monotonic()
    assert client.blmove("nothing", "nowhere", 0.2) is None
    assert time.monotonic() - began >= 0.19


def work_off(client, account, queue, jobs):
    """Takes jobs, which are numbers, in the order in which they were given."""
    for _ in range(jobs):
        _, number = client.blpop(queue, timeout=LIMIT_SECONDS)
        assert int(number) == account.written[queue], f"{queue}: job {number}"
        transaction(client, account, queue)


def script(client, account):
    """EVALSHA, and where the server does not know the script, SCRIPT LOAD and again."""
    count_and_append = client.register_script(SCRIPT)
    replies = count_and_append(keys=["count:script", "list:script"], args=[account.written["script"]])
    account.settle("script", replies)


def stream(client, account, name, messages):
    """Messages are added, read by a consumer of a group, handled and acknowledged."""
    for _ in range(messages):
        client.xadd(name, {"parts": "2"})
    handled = 0
    while handled < messages:
        handled += handle_messages(client, account, name)


def handle_messages(client, account, name):
    replies = client.xreadgroup("workers", "worker-1", {name: ">"}, count=2, block=LIMIT_SECONDS * 1000 // 2)
    ((_, messages),) = replies.items() if isinstance(replies, dict) else replies
    # RESP3 nests the messages of one stream once more.
    messages = messages[0] if messages and isinstance(messages[0], list) else messages
    for identifier, fields in messages:
        assert fields == {"parts": "2"}
        transaction(client, account, name)
        assert client.xack(name, "workers", identifier) == 1
        account.streams[name] += 1
    return len(messages)


class Standing:
    """What is begun before the cutover and ended after it."""

    def __init__(self, client, account):
        self.client, self.account = client, account
        self.worker = spawn(work_off, client, account, "late-jobs", 1)
        self.patient = spawn(self.lose_patience)
        self.consumer = spawn(handle_messages, client, account, "parcels")
        self.lock = client.pipeline()
        self.lock.watch("count:lock")
        self.lock.get("count:lock")
        self.cursor, keys = client.scan(0, match="item:*", count=20)
        self.seen = set(keys)
        assert self.cursor != 0
        # The two pops and the read are waiting.
        eventually(lambda: client.info("clients")["blocked_clients"] == 3)

    def lose_patience(self):
        began = time.monotonic()
        assert self.client.blpop("nothing", timeout=PATIENCE_SECONDS) is None
        waited = time.monotonic() - began
        assert PATIENCE_SECONDS - 0.1 < waited < PATIENCE_SECONDS + 1, f"waited {waited} s"

    def finish(self):
        self.client.rpush("late-jobs", 0)
        join(self.worker)
        self.client.xadd("parcels", {"parts": "2"})
        join(self.consumer)
        join(self.patient)
        # As if a rival had changed the key; the same again then succeeds.
        self.lock.multi()
        self.account.queue(self.lock, "lock")
        try:
            self.lock.execute()
            raise AssertionError("a lock from before the cutover held")
        except redis.WatchError:
            optimistic_lock(self.client, self.account)
        while self.cursor != 0:
            self.cursor, keys = self.client.scan(self.cursor, match="item:*", count=20)
            self.seen.update(keys)
        assert self.seen == all_items()


class Load:
    """Transactions, pipelines, a queue and numbered messages, without a break from before the cutover to after it."""

    def __init__(self, client, account):
        self.client, self.account = client, account
        self.over = threading.Event()
        self.sent, self.received = 0, {"message": [], "pmessage": []}
        self.pubsub = client.pubsub()
        self.pubsub.subscribe("numbers")
        self.pubsub.psubscribe("num*")
        for kind in "subscribe", "psubscribe":
            assert self.pubsub.get_message(timeout=LIMIT_SECONDS)["type"] == kind
        self.threads = [spawn(work) for work in (self.listen, self.publish, self.transact, self.stream_through)]

    def publish(self):
        while not self.over.wait(0.002):
            self.client.publish("numbers", self.sent)
            self.sent += 1
        self.client.publish("numbers", "end")

    def listen(self):
        while any(numbers[-1:] != ["end"] for numbers in self.received.values()):
            message = self.pubsub.get_message(timeout=LIMIT_SECONDS)
            self.received[message["type"]].append(message["data"])

    def transact(self):
        while not self.over.wait(0.002):
            transaction(self.client, self.account, "load")

    def stream_through(self):
        while not self.over.wait(0.002):
            pipeline(self.client, self.account, "stream-through")

    def finish(self):
        self.over.set()
        for thread in self.threads:
            join(thread)
        expected = [*map(str, range(self.sent)), "end"]
        assert self.received == {"message": expected, "pmessage": expected}, "messages lost or repeated"


class Cache:
    """A key that is kept on the client's side, and read from there until it changes."""

    def __init__(self, client, cached):
        self.client, self.cached = client, cached
        client.set("cached", "before")
        assert self.cached.get("cached") == "before"
        assert self.cached.get_cache().size == 1

    def must_follow_changes(self):
        for value in "after", "later":
            self.client.set("cached", value)
            eventually(lambda: self.cached.get("cached") == value)
            assert self.cached.get_cache().size == 1


def all_items():
    return {f"item:{number}" for number in range(ITEMS)}


if __name__ == "__main__":
    main()
