// An application that uses ioredis, with several clients as its pool: ioredis.mjs PORT resp2|resp3
//
// Nothing is retried and nobody reconnects: an error, or a connection that is lost, ends it with a stack trace.

import assert from "node:assert/strict";

import {
  again, closing, eventually, hear, library, losesPatience, say, sayDone, watchEvents, watched,
  Account, ITEMS, LIMIT_SECONDS, PIPELINE, SCRIPT,
} from "./application.mjs";

const Redis = library("ioredis");
const [port, protocol] = [Number(process.argv[2]), process.argv[3]];
const account = new Account();
const clients = [];

async function connect(options = {}) {
  const client = new Redis({
    port,
    protocol: protocol === "resp3" ? 3 : 2,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    reconnectOnError: null,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    lazyConnect: true,
    ...options,
  });
  client.defineCommand("countAndAppend", { numberOfKeys: 2, lua: SCRIPT });
  await client.connect();
  clients.push(watchEvents(client, options.connectionName ?? "client"));
  return client;
}

/** Replies of a pipeline or a transaction are pairs of an error and a reply. */
function repliesOf(results) {
  return results.map(([error, reply]) => {
    assert.equal(error, null);
    return reply;
  });
}

async function pipeline(client, name = "pipeline") {
  const pipe = client.pipeline();
  for (const [count, list, number] of account.next(name, PIPELINE)) {
    pipe.incr(count).rpush(list, number);
  }
  account.settle(name, repliesOf(await pipe.exec()));
}

/** Commands of one turn of the event loop leave as one pipeline, without being asked to. */
async function automaticPipeline(client) {
  const replies = account.next("automatic", PIPELINE).flatMap(([count, list, number]) => [
    client.incr(count),
    client.rpush(list, number),
  ]);
  account.settle("automatic", await Promise.all(replies));
}

async function transaction(client, name, times = 1) {
  const transaction = client.multi();
  for (const [count, list, number] of account.next(name, times)) {
    transaction.incr(count).rpush(list, number);
  }
  account.settle(name, repliesOf(await transaction.exec()));
}

/** EXEC gives null when somebody else was faster: here a rival is, once. */
async function optimisticLock(locker, rival) {
  for (let attempt = 0; ; attempt += 1) {
    await locker.watch("count:lock");
    const seen = Number((await locker.get("count:lock")) ?? 0);
    assert.equal(seen, account.of("lock"));
    if (attempt === 0) {
      await rival.set("count:lock", seen);
    }
    const [[count, list, number]] = account.next("lock");
    const results = await locker.multi().incr(count).rpush(list, number).exec();
    if (results !== null) {
      assert.ok(attempt > 0, "the rival went unnoticed");
      return account.settle("lock", repliesOf(results));
    }
  }
}

/** Takes jobs, which are numbers, in the order in which they were given. */
async function workOff(worker, client, queue, jobs) {
  for (let job = 0; job < jobs; job += 1) {
    const [, number] = await worker.blpop(queue, LIMIT_SECONDS);
    assert.equal(Number(number), account.of(queue));
    await transaction(client, queue);
  }
}

async function blockingPops(worker, client) {
  const waiting = workOff(worker, client, "jobs", 2);
  await client.rpush("jobs", account.of("jobs"), account.of("jobs") + 1);
  await waiting;
  await losesPatience((seconds) => worker.blmove("nothing", "nowhere", "LEFT", "RIGHT", seconds), 0.2);
}

/** EVALSHA, and where the server does not know the script, EVAL. */
async function script(client) {
  const [[count, list, number]] = account.next("script");
  account.settle("script", await client.countAndAppend(count, list, number));
}

/** Messages are added, read by a consumer of a group, handled and acknowledged. */
async function stream(worker, client, name, messages) {
  for (let message = 0; message < messages; message += 1) {
    await client.xadd(name, "*", "parts", "2");
  }
  for (let handled = 0; handled < messages; ) {
    handled += await handleMessages(worker, client, name);
  }
}

async function handleMessages(worker, client, name) {
  const [[from, messages]] = await worker.xreadgroup(
    "GROUP", "workers", "worker-1", "COUNT", 2, "BLOCK", LIMIT_SECONDS * 1000, "STREAMS", name, ">",
  );
  assert.equal(from, name);
  for (const [id, fields] of messages) {
    assert.deepEqual(fields, ["parts", "2"]);
    await transaction(client, name);
    assert.equal(await client.xack(name, "workers", id), 1);
    account.acknowledged(name);
  }
  return messages.length;
}

async function iterate(client) {
  const seen = new Set();
  for await (const keys of client.scanStream({ match: "item:*", count: 20 })) {
    keys.forEach((key) => seen.add(key));
  }
  assert.deepEqual([...seen].sort(), ITEMS);
}

async function everythingOnce({ client, worker, locker, named, automatic, pool }) {
  await pipeline(client);
  await automaticPipeline(automatic);
  await transaction(client, "transaction", 2);
  await optimisticLock(locker, client);
  await blockingPops(worker, client);
  await script(client);
  await stream(worker, client, "orders", 5);
  await iterate(client);
  await client.hset("hash", { a: "1", b: "2" });
  assert.deepEqual(await client.hgetall("hash"), { a: "1", b: "2" });
  assert.equal(await named.client("GETNAME"), "mailing");
  assert.match(await named.client("INFO"), / db=3 /);
  // Each of the pool does its share.
  const counts = await Promise.all(pool.map((member) => member.incr("shared")));
  assert.deepEqual(counts.sort((a, b) => a - b), counts.map((_, at) => counts[0] + at));
}

/** What is begun before the cutover, each on a client of its own; what is given back ends it afterwards. */
async function begin(client) {
  const workers = await Promise.all([connect(), connect(), connect()]);
  const late = workOff(workers[0], client, "late-jobs", 1);
  const patience = watched(losesPatience((seconds) => workers[1].blpop("nothing", seconds)));
  const parcel = handleMessages(workers[2], client, "parcels");

  // A transaction of which each command is sent at once, and answered with QUEUED.
  const queueing = await connect();
  const [first, second] = account.next("queued", 2);
  await queueing.multi({ pipeline: false });
  assert.equal(await queueing.incr(first[0]), "QUEUED");
  assert.equal(await queueing.rpush(first[1], first[2]), "QUEUED");

  const locker = await connect();
  await locker.watch("count:lock");

  // Begun before the load: the library takes what comes together with the OK for a reply.
  const monitor = await (await connect()).monitor();
  clients.push(watchEvents(monitor, "monitor"));
  const monitored = [];
  monitor.on("monitor", (_time, command) => monitored.push(command[1]));

  const seen = new Set();
  const scanner = await connect();
  let cursor = "0";
  const scan = async () => {
    const [next, keys] = await scanner.scan(cursor, "MATCH", "item:*", "COUNT", 20);
    cursor = next;
    keys.forEach((key) => seen.add(key));
  };
  await scan();
  assert.notEqual(cursor, "0");
  await eventually(async () => /blocked_clients:3\r/.test(await client.info("clients")));

  return async () => {
    assert.ok(!patience.kept, "the cutover took longer than a blocked pop has patience");
    await client.rpush("late-jobs", 0);
    await late;
    await client.xadd("parcels", "*", "parts", "2");
    await parcel;
    await patience.promise;
    assert.equal(await queueing.incr(second[0]), "QUEUED");
    assert.equal(await queueing.rpush(second[1], second[2]), "QUEUED");
    account.settle("queued", repliesOf(await queueing.exec()));
    assert.equal(await locker.multi().set("count:lock", "wrong").exec(), null, "a lock from before the cutover held");
    await optimisticLock(locker, client);
    await client.get("seen-by-the-monitor");
    await eventually(() => monitored.includes("seen-by-the-monitor"));
    while (cursor !== "0") {
      await scan();
    }
    assert.deepEqual([...seen].sort(), ITEMS);
  };
}

/** Numbered messages, transactions and pipelines without a break, from before the cutover to after it. */
async function load(publisher, busy) {
  const received = { message: [], pmessage: [] };
  const subscriber = await connect();
  subscriber.on("message", (_channel, message) => received.message.push(message));
  subscriber.on("pmessage", (_pattern, _channel, message) => received.pmessage.push(message));
  await subscriber.subscribe("numbers");
  await subscriber.psubscribe("num*");
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
    assert.deepEqual(received, { message: sent, pmessage: sent }, "messages lost or repeated");
  };
  return { sent, end };
}

const client = await connect();
await client.mset(Object.fromEntries(ITEMS.map((key) => [key, "value"])));
await client.xgroup("CREATE", "orders", "workers", "$", "MKSTREAM");
await client.xgroup("CREATE", "parcels", "workers", "$", "MKSTREAM");
const application = {
  client,
  worker: await connect(),
  locker: await connect(),
  named: await connect({ connectionName: "mailing", db: 3 }),
  automatic: await connect({ enableAutoPipelining: true }),
  pool: await Promise.all(Array.from({ length: 5 }, () => connect())),
};
await everythingOnce(application);
const finish = await begin(client);
const { sent, end } = await load(application.pool[0], application.pool[1]);
await eventually(() => sent.length >= 50);
say("ready");

assert.equal(await hear(), "moved");
await finish();
await everythingOnce(application);
const before = sent.length;
await eventually(() => sent.length >= before + 50);
await end();
sayDone(account);
// The test looks at the connections before they are closed.
assert.equal(await hear(), "");
closing();
clients.forEach((client) => client.disconnect());
