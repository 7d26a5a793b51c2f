// An application that uses node-redis, with its pool of clients: node_redis.mjs PORT resp2|resp3
//
// With RESP3 it also caches on the client's side. Nothing is retried and nobody reconnects: an error, or a connection
// that is lost, ends it with a stack trace.

import assert from "node:assert/strict";

import {
  again, closing, eventually, hear, library, losesPatience, say, sayDone, watchEvents, watched,
  Account, ITEMS, LIMIT_SECONDS, PIPELINE, SCRIPT,
} from "./application.mjs";

const { BasicClientSideCache, WatchError, createClient, createClientPool, defineScript } = library("redis");
const [port, protocol] = [Number(process.argv[2]), process.argv[3]];
const account = new Account();
const clients = [];

const options = {
  socket: { port, reconnectStrategy: false },
  RESP: protocol === "resp3" ? 3 : 2,
  disableOfflineQueue: true,
  scripts: {
    countAndAppend: defineScript({
      NUMBER_OF_KEYS: 2,
      SCRIPT,
      parseCommand(parser, count, list, number) {
        parser.pushKeys([count, list]);
        parser.push(number);
      },
      transformReply: undefined,
    }),
  },
};

async function connect(more = {}) {
  const client = watchEvents(createClient({ ...options, ...more }), more.name ?? "client");
  clients.push(client);
  return client.connect();
}

async function pipeline(client, name = "pipeline") {
  const pipe = client.multi();
  for (const [count, list, number] of account.next(name, PIPELINE)) {
    pipe.incr(count).rPush(list, number);
  }
  account.settle(name, await pipe.execAsPipeline());
}

/** Commands of one turn of the event loop leave in one write, without being asked to. */
async function automaticPipeline(client) {
  const replies = account.next("automatic", PIPELINE).flatMap(([count, list, number]) => [
    client.incr(count),
    client.rPush(list, number),
  ]);
  account.settle("automatic", await Promise.all(replies));
}

async function transaction(client, name, times = 1) {
  const transaction = client.multi();
  for (const [count, list, number] of account.next(name, times)) {
    transaction.incr(count).rPush(list, number);
  }
  account.settle(name, await transaction.exec());
}

/** A client of the pool for itself. EXEC fails when somebody else was faster: here a rival is, once. */
async function optimisticLock(pool, rival) {
  await pool.execute(async (locker) => {
    for (let attempt = 0; ; attempt += 1) {
      await locker.watch("count:lock");
      const seen = Number((await locker.get("count:lock")) ?? 0);
      assert.equal(seen, account.of("lock"));
      if (attempt === 0) {
        await rival.set("count:lock", String(seen));
      }
      const [[count, list, number]] = account.next("lock");
      try {
        account.settle("lock", await locker.multi().incr(count).rPush(list, number).exec());
        assert.ok(attempt > 0, "the rival went unnoticed");
        return;
      } catch (error) {
        assert.ok(error instanceof WatchError, error);
      }
    }
  });
}

/** Takes jobs, which are numbers, in the order in which they were given. */
async function workOff(worker, client, queue, jobs) {
  for (let job = 0; job < jobs; job += 1) {
    const { element } = await worker.blPop(queue, LIMIT_SECONDS);
    assert.equal(Number(element), account.of(queue));
    await transaction(client, queue);
  }
}

async function blockingPops(worker, client) {
  const waiting = workOff(worker, client, "jobs", 2);
  await client.rPush("jobs", [String(account.of("jobs")), String(account.of("jobs") + 1)]);
  await waiting;
  await losesPatience((seconds) => worker.blMove("nothing", "nowhere", "LEFT", "RIGHT", seconds), 0.2);
}

/** EVALSHA, and where the server does not know the script, EVAL. */
async function script(client) {
  const [[count, list, number]] = account.next("script");
  account.settle("script", await client.countAndAppend(count, list, number));
}

/** Messages are added, read by a consumer of a group, handled and acknowledged. */
async function stream(worker, client, name, messages) {
  for (let message = 0; message < messages; message += 1) {
    await client.xAdd(name, "*", { parts: "2" });
  }
  for (let handled = 0; handled < messages; ) {
    handled += await handleMessages(worker, client, name);
  }
}

async function handleMessages(worker, client, name) {
  const wanted = { key: name, id: ">" };
  const limits = { COUNT: 2, BLOCK: LIMIT_SECONDS * 1000 };
  const [{ messages }] = await worker.xReadGroup("workers", "worker-1", wanted, limits);
  for (const { id, message } of messages) {
    assert.deepEqual({ ...message }, { parts: "2" });
    await transaction(client, name);
    assert.equal(await client.xAck(name, "workers", id), 1);
    account.acknowledged(name);
  }
  return messages.length;
}

async function iterate(client) {
  const seen = new Set();
  for await (const keys of client.scanIterator({ MATCH: "item:*", COUNT: 20 })) {
    keys.forEach((key) => seen.add(key));
  }
  assert.deepEqual([...seen].sort(), ITEMS);
}

async function everythingOnce({ client, worker, named, pool }) {
  await pipeline(client);
  await automaticPipeline(client);
  await transaction(client, "transaction", 2);
  await optimisticLock(pool, client);
  await blockingPops(worker, client);
  await script(client);
  await stream(worker, client, "orders", 5);
  await iterate(client);
  await client.hSet("hash", { a: "1", b: "2" });
  assert.deepEqual({ ...(await client.hGetAll("hash")) }, { a: "1", b: "2" });
  assert.equal(await named.clientGetName(), "mailing");
  assert.equal((await named.clientInfo()).db, 3);
  // More at once than the pool has clients.
  const counts = await Promise.all(Array.from({ length: 30 }, () => pool.incr("shared")));
  assert.equal(new Set(counts).size, 30);
}

/** What is begun before the cutover, each on a client of its own; what is given back ends it afterwards. */
async function begin(client, pool) {
  const workers = await Promise.all([connect(), connect(), connect()]);
  const late = workOff(workers[0], client, "late-jobs", 1);
  const patience = watched(losesPatience((seconds) => workers[1].blPop("nothing", seconds)));
  const parcel = handleMessages(workers[2], client, "parcels");

  const locker = await connect();
  await locker.watch("count:lock");

  const monitored = [];
  const monitor = await connect();
  await monitor.monitor((line) => monitored.push(line));

  const seen = new Set();
  const scanner = client.scanIterator({ MATCH: "item:*", COUNT: 20 });
  const scan = async () => {
    const { done, value } = await scanner.next();
    (value ?? []).forEach((key) => seen.add(key));
    return !done;
  };
  assert.ok(await scan());
  await eventually(async () => /blocked_clients:3\r/.test(await client.info("clients")));

  return async () => {
    assert.ok(!patience.kept, "the cutover took longer than a blocked pop has patience");
    await client.rPush("late-jobs", "0");
    await late;
    await client.xAdd("parcels", "*", { parts: "2" });
    await parcel;
    await patience.promise;
    await assert.rejects(locker.multi().set("count:lock", "wrong").exec(), WatchError);
    await optimisticLock(pool, client);
    await client.get("seen-by-the-monitor");
    await eventually(() => monitored.some((line) => line.includes("seen-by-the-monitor")));
    while (await scan());
    assert.deepEqual([...seen].sort(), ITEMS);
  };
}

/** Numbered messages, transactions and pipelines without a break, from before the cutover to after it. */
async function load(publisher, busy) {
  const received = { channel: [], pattern: [] };
  const subscriber = await connect();
  await subscriber.subscribe("numbers", (message) => received.channel.push(message));
  await subscriber.pSubscribe("num*", (message) => received.pattern.push(message));
  const sent = [];
  const publish = async (message) => {
    await publisher.publish("numbers", message);
    sent.push(message);
  };
  const work = [
    again(() => publish(String(sent.length))),
    again(() => transaction(busy, "load")),
    again(() => pipeline(busy, "stream-through")),
  ];
  const end = async () => {
    await Promise.all(work.map((one) => one.end()));
    await publish("end");
    await eventually(() => Object.values(received).every((messages) => messages.at(-1) === "end"));
    assert.deepEqual(received, { channel: sent, pattern: sent }, "messages lost or repeated");
  };
  return { sent, end };
}

/** A key that is kept on the client's side, and read from there until it changes. */
async function caching(client) {
  const cache = new BasicClientSideCache();
  const cached = await connect({ clientSideCache: cache });
  await client.set("cached", "before");
  await eventually(async () => (await cached.get("cached")) === "before" && cache.size() === 1);
  return async () => {
    for (const value of ["after", "later"]) {
      await client.set("cached", value);
      await eventually(async () => (await cached.get("cached")) === value);
      const { hitCount } = cache.stats();
      assert.equal(await cached.get("cached"), value);
      assert.equal(cache.stats().hitCount, hitCount + 1, "it is read from the cache again");
    }
  };
}

const client = await connect();
await client.mSet(ITEMS.map((key) => [key, "value"]));
await client.xGroupCreate("orders", "workers", "$", { MKSTREAM: true });
await client.xGroupCreate("parcels", "workers", "$", { MKSTREAM: true });
const pool = createClientPool(options, { minimum: 4, maximum: 4, acquireTimeout: LIMIT_SECONDS * 1000 });
watchEvents(pool, "pool");
await pool.connect();
const application = {
  client,
  pool,
  worker: await connect(),
  named: await connect({ name: "mailing", database: 3 }),
};
await everythingOnce(application);
const finish = await begin(client, pool);
const { sent, end } = await load(pool, await connect());
const cacheFollows = protocol === "resp3" ? await caching(client) : async () => {};
await eventually(() => sent.length >= 50);
say("ready");

assert.equal(await hear(), "moved");
await finish();
await everythingOnce(application);
await cacheFollows();
const before = sent.length;
await eventually(() => sent.length >= before + 50);
await end();
sayDone(account);
// The test looks at the connections before they are closed.
assert.equal(await hear(), "");
closing();
[...clients, pool].forEach((client) => client.destroy());
