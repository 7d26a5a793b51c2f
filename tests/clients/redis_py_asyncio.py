#!/usr/bin/env python3
"""An application that uses redis-py with asyncio and a bounded connection pool: redis_py_asyncio.py PORT resp2|resp3

No retry is configured, and everything runs in one group of tasks: any error ends it with a traceback.
"""

import asyncio
import sys
import time

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import WatchError

from application import ITEMS, LIMIT_SECONDS, PATIENCE_SECONDS, PIPELINE, SCRIPT
from application import Account, hear, say, say_done


async def main():
    port, protocol = int(sys.argv[1]), sys.argv[2]

    def connect(connections, **options):
        pool = redis.BlockingConnectionPool(
            port=port,
            protocol=3 if protocol == "resp3" else 2,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=LIMIT_SECONDS,
            health_check_interval=0,
            max_connections=connections,
            timeout=LIMIT_SECONDS,
            **options,
        )
        return redis.Redis(connection_pool=pool)

    client, account = connect(12), Account()
    await client.mset({f"item:{number}": number for number in range(ITEMS)})
    await client.xgroup_create("orders", "workers", mkstream=True)
    await client.xgroup_create("parcels", "workers", mkstream=True)
    named = connect(1, client_name="shipping", db=3)

    async with asyncio.TaskGroup() as tasks:
        await everything_once(client, named, account)
        load = Load(client, account)
        await load.start(tasks)
        standing = Standing(client, account)
        await standing.start(tasks)
        await eventually(lambda: load.sent >= 50)
        say("ready")

        assert await asyncio.to_thread(hear) == "moved"
        assert not standing.patient.done(), "the cutover took longer than a blocked pop has patience"
        await standing.finish()
        await everything_once(client, named, account)
        sent = load.sent
        await eventually(lambda: load.sent >= sent + 50)
        await load.finish()
    say_done(account)
    assert await asyncio.to_thread(hear) == "", "the test looks at the connections before they are closed"
    await load.pubsub.aclose()
    await client.aclose()
    await named.aclose()


async def everything_once(client, named, account):
    await pipeline(client, account)
    await transaction(client, account, "transaction", 2)
    await optimistic_lock(client, account)
    await blocking_pops(client, account)
    await script(client, account)
    await stream(client, account, "orders", 5)
    assert {key async for key in client.scan_iter("item:*", count=20)} == all_items()
    await client.zadd("scores", {"a": 1.5, "b": 2})
    assert await client.zscore("scores", "a") == 1.5
    assert await named.client_getname() == "shipping"
    assert await named.incr("visits") and (await named.client_info())["db"] == 3
    # More at once than there are connections: tasks wait for one another's.
    assert await asyncio.gather(*(client.echo(str(n)) for n in range(50))) == [str(n) for n in range(50)]


async def pipeline(client, account, name="pipeline"):
    pipe = client.pipeline(transaction=False)
    account.queue(pipe, name, PIPELINE)
    account.settle(name, await pipe.execute())


async def transaction(client, account, name, times=1):
    async with client.pipeline(transaction=True) as pipe:
        account.queue(pipe, name, times)
        account.settle(name, await pipe.execute())


async def optimistic_lock(client, account):
    """The first attempt meets a rival; then again, until nobody came between."""
    rivals = [lambda seen: client.set("count:lock", seen)]
    async with client.pipeline() as pipe:
        while True:
            try:
                await pipe.watch("count:lock")
                seen = int(await pipe.get("count:lock") or 0)
                assert seen == account.written["lock"]
                if rivals:
                    await rivals.pop()(seen)
                pipe.multi()
                account.queue(pipe, "lock")
                account.settle("lock", await pipe.execute())
                assert not rivals
                return
            except WatchError:
                continue


async def blocking_pops(client, account):
    """One that is served while it waits, one that finds something, one whose time runs out."""
    first = account.written["jobs"]
    waiting = asyncio.create_task(work_off(client, account, "jobs", 2))
    await client.rpush("jobs", first)
    await client.rpush("jobs", first + 1)
    await waiting
    began = time.monotonic()
    assert await client.blmove("nothing", "nowhere", 0.2) is None
    assert time.monotonic() - began >= 0.19


async def work_off(client, account, queue, jobs):
    """Takes jobs, which are numbers, in the order in which they were given."""
    for _ in range(jobs):
        _, number = await client.blpop(queue, timeout=LIMIT_SECONDS)
        assert int(number) == account.written[queue], f"{queue}: job {number}"
        await transaction(client, account, queue)


async def script(client, account):
    """EVALSHA, and where the server does not know the script, SCRIPT LOAD and again."""
    count_and_append = client.register_script(SCRIPT)
    replies = await count_and_append(keys=["count:script", "list:script"], args=[account.written["script"]])
    account.settle("script", replies)


async def stream(client, account, name, messages):
    """Messages are added, read by a consumer of a group, handled and acknowledged."""
    for _ in range(messages):
        await client.xadd(name, {"parts": "2"})
    handled = 0
    while handled < messages:
        handled += await handle_messages(client, account, name)


async def handle_messages(client, account, name):
    replies = await client.xreadgroup("workers", "worker-1", {name: ">"}, count=2, block=LIMIT_SECONDS * 1000 // 2)
    ((_, messages),) = replies.items() if isinstance(replies, dict) else replies
    # RESP3 nests the messages of one stream once more.
    messages = messages[0] if messages and isinstance(messages[0], list) else messages
    for identifier, fields in messages:
        assert fields == {"parts": "2"}
        await transaction(client, account, name)
        assert await client.xack(name, "workers", identifier) == 1
        account.streams[name] += 1
    return len(messages)


class Standing:
    """What is begun before the cutover and ended after it."""

    def __init__(self, client, account):
        self.client, self.account = client, account

    async def start(self, tasks):
        client, account = self.client, self.account
        self.worker = tasks.create_task(work_off(client, account, "late-jobs", 1))
        self.patient = tasks.create_task(self.lose_patience())
        self.consumer = tasks.create_task(handle_messages(client, account, "parcels"))
        self.lock = client.pipeline()
        await self.lock.watch("count:lock")
        await self.lock.get("count:lock")
        self.cursor, keys = await client.scan(0, match="item:*", count=20)
        self.seen = set(keys)
        assert self.cursor != 0
        # The two pops and the read are waiting.
        while (await client.info("clients"))["blocked_clients"] != 3:
            await asyncio.sleep(0.005)

    async def lose_patience(self):
        began = time.monotonic()
        assert await self.client.blpop("nothing", timeout=PATIENCE_SECONDS) is None
        waited = time.monotonic() - began
        assert PATIENCE_SECONDS - 0.1 < waited < PATIENCE_SECONDS + 1, f"waited {waited} s"

    async def finish(self):
        await self.client.rpush("late-jobs", 0)
        await self.worker
        await self.client.xadd("parcels", {"parts": "2"})
        await self.consumer
        await self.patient
        # As if a rival had changed the key; the same again then succeeds.
        self.lock.multi()
        self.account.queue(self.lock, "lock")
        try:
            await self.lock.execute()
            raise AssertionError("a lock from before the cutover held")
        except WatchError:
            await optimistic_lock(self.client, self.account)
        while self.cursor != 0:
            self.cursor, keys = await self.client.scan(self.cursor, match="item:*", count=20)
            self.seen.update(keys)
        assert self.seen == all_items()


class Load:
    """Transactions, pipelines and numbered messages, without a break from before the cutover to after it."""

    def __init__(self, client, account):
        self.client, self.account = client, account
        self.over = False
        self.sent, self.received = 0, {"message": [], "pmessage": []}
        self.pubsub = client.pubsub()

    async def start(self, tasks):
        await self.pubsub.subscribe("numbers")
        await self.pubsub.psubscribe("num*")
        for kind in "subscribe", "psubscribe":
            assert (await self.pubsub.get_message(timeout=LIMIT_SECONDS))["type"] == kind
        work = self.listen, self.publish, self.transact, self.stream_through
        self.tasks = [tasks.create_task(do()) for do in work]

    async def publish(self):
        while not self.over:
            await self.client.publish("numbers", self.sent)
            self.sent += 1
            await asyncio.sleep(0.002)
        await self.client.publish("numbers", "end")

    async def listen(self):
        while any(numbers[-1:] != ["end"] for numbers in self.received.values()):
            message = await self.pubsub.get_message(timeout=LIMIT_SECONDS)
            self.received[message["type"]].append(message["data"])

    async def transact(self):
        while not self.over:
            await transaction(self.client, self.account, "load")
            await asyncio.sleep(0.002)

    async def stream_through(self):
        while not self.over:
            await pipeline(self.client, self.account, "stream-through")
            await asyncio.sleep(0.002)

    async def finish(self):
        self.over = True
        await asyncio.wait_for(asyncio.gather(*self.tasks), LIMIT_SECONDS)
        expected = [*map(str, range(self.sent)), "end"]
        assert self.received == {"message": expected, "pmessage": expected}, "messages lost or repeated"


def all_items():
    return {f"item:{number}" for number in range(ITEMS)}


async def eventually(condition):
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main())
