// What the JavaScript applications share: the account of what they wrote, and their conversation with the test. It is
// the same as in application.py, which says how it is meant.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

// The libraries are not beside this file but where `dev/setup tests` installs them.
export const library = createRequire(new URL("../../target/clients/", import.meta.url));

// How long anything may take that is to happen by itself.
export const LIMIT_SECONDS = 15;
// A blocking pop with this time limit begins before the cutover and runs out after it.
export const PATIENCE_SECONDS = 3;
// What is written with one pipeline.
export const PIPELINE = 20;
// Between two rounds of load.
export const PAUSE_MS = 2;

export const ITEMS = Array.from({ length: 300 }, (_, number) => `item:${number}`).sort();

export const SCRIPT = `
local count = redis.call('INCR', KEYS[1])
return {count, redis.call('RPUSH', KEYS[2], ARGV[1])}
`;

/** How often was written under each name, and how many messages of each stream were handled. */
export class Account {
  written = {};
  streams = {};

  of(name) {
    return this.written[name] ?? 0;
  }

  /** The next writes under a name: the keys of the counter and of the list, and the number for the list. */
  next(name, times = 1) {
    const first = this.of(name);
    return Array.from({ length: times }, (_, more) => [`count:${name}`, `list:${name}`, String(first + more)]);
  }

  /** Both the counter and the length of the list are what they must be now. */
  settle(name, replies) {
    const first = this.of(name);
    const times = replies.length / 2;
    const expected = Array.from({ length: times }, (_, more) => first + more + 1).flatMap((count) => [count, count]);
    assert.ok(times > 0);
    assert.deepEqual(replies, expected, name);
    this.written[name] = first + times;
  }

  acknowledged(stream) {
    this.streams[stream] = (this.streams[stream] ?? 0) + 1;
  }
}

export const say = (word) => console.log(word);
export const sayDone = (account) => say(`done ${JSON.stringify(account)}`);

const words = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
/** The test's next word; empty when it has no more to say. */
export const hear = async () => (await words.next()).value ?? "";

export async function eventually(condition) {
  for (let waited = 0; !(await condition()); waited += 5) {
    assert.ok(waited < LIMIT_SECONDS * 1000, `did not come true: ${condition}`);
    await sleep(5);
  }
}

/** A pop that finds nothing gives up when it was told to, not earlier and not much later. */
export async function losesPatience(pop, seconds = PATIENCE_SECONDS) {
  const began = performance.now();
  assert.equal(await pop(seconds), null);
  const waited = (performance.now() - began) / 1000;
  assert.ok(seconds - 0.1 < waited && waited < seconds + 1, `waited ${waited} s`);
}

/** A promise that tells whether it has been kept. */
export function watched(promise) {
  const state = { kept: false, promise: promise.finally(() => (state.kept = true)) };
  return state;
}

/** Does something again and again until it is told to end. */
export function again(work) {
  let over = false;
  const done = (async () => {
    while (!over) {
      await work();
      await sleep(PAUSE_MS);
    }
  })();
  return {
    end: () => {
      over = true;
      return done;
    },
  };
}

let isClosing = false;
/** From here on connections may end. */
export const closing = () => (isClosing = true);

/** Whatever a library tells of a connection that was ready is bad news, until the application ends. */
export function watchEvents(client, name) {
  for (const event of ["error", "end", "close", "reconnecting", "terminated"]) {
    client.on(event, (reason) => assert.ok(isClosing, `${name}: ${event} ${reason ?? ""}`));
  }
  return client;
}
