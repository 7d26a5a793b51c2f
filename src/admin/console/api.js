// The way to the sidecar: questions, orders, and the stream of what happens. The token lives in this tab alone.

const KEPT = "handover-token";
/** How long the stream may be silent: it brings a status each second. */
const SILENCE_MAX_MS = 10_000;
/** Between two attempts at the stream. */
const AGAIN_MS = 5_000;
/** Between two questions, while there is no stream. */
const POLL_MS = 1_000;

let token = sessionStorage.getItem(KEPT) ?? "";

/** Why something was not done; `status` 0 where nobody answered. */
export class Failure extends Error {
  constructor(status, error) {
    super(error.message ?? `status ${status}`);
    this.status = status;
    this.code = error.code ?? "";
    this.reasons = error.reasons ?? [];
  }

  /** Whether a token would help. */
  get wantsToken() {
    return this.status === 401 || (this.status === 403 && this.code !== "foreign_origin");
  }
}

export const hasToken = () => token !== "";

export function keepToken(given) {
  token = given;
  if (given) sessionStorage.setItem(KEPT, given);
  else sessionStorage.removeItem(KEPT);
}

export const get = (path, signal) => call(path, { signal });

export const post = (path, body) => call(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

async function open(path, options) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    throw new Failure(0, { message: `the sidecar does not answer (${error.message})` });
  }
  if (answer.ok) return answer;
  const document = await answer.json().catch(() => ({}));
  throw new Failure(answer.status, document.error ?? {});
}

async function call(path, options) {
  const answer = await open(path, options);
  return answer.json().catch((error) => { throw new Failure(0, { message: `the answer broke off (${error.message})` }); });
}

/**
 * Tells `heard(kind, data)` of every status and event, for ever, and `state(word, failure)` how that goes: `live` by the
 * stream, `polling` by questions, `lost` where neither brings anything. EventSource cannot send a token, so the stream
 * is read by hand.
 */
export async function follow(heard, state) {
  for (;;) {
    let failure;
    try {
      await stream(heard, () => state("live"));
    } catch (error) {
      failure = error;
    }
    const again = Date.now() + AGAIN_MS;
    do {
      try {
        heard("status", await get("v1/status", AbortSignal.timeout(SILENCE_MAX_MS)));
        state("polling");
      } catch (error) {
        failure = error;
        state("lost", failure);
      }
      await new Promise((over) => { setTimeout(over, POLL_MS); wake = over; });
    } while (Date.now() < again && !failure?.wantsToken);
  }
}

let wake = () => {};

/** Tries again at once, with what is known now. */
export const hurry = () => wake();

async function stream(heard, live) {
  const stop = new AbortController();
  let watchdog = setTimeout(() => stop.abort(), SILENCE_MAX_MS);
  try {
    const answer = await open("v1/events?status=true", { signal: stop.signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => stop.abort(), SILENCE_MAX_MS);
      live();
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) tell(event, heard);
    }
  } finally {
    clearTimeout(watchdog);
    stop.abort();
  }
}

function tell(event, heard) {
  let kind = "message";
  const data = [];
  for (const line of event.split("\n")) {
    if (line.startsWith("event:")) kind = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  if (data.length) heard(kind, JSON.parse(data.join("\n")));
}
