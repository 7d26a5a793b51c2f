// The console: follows the sidecar, shows the track and what can be done, and gives the orders a person confirms.

import { Failure, follow, get, hasToken, hurry, keepToken, post } from "./api.js";
import { fill, find, h, put, say, signed } from "./dom.js";
import * as cards from "./cards.js";
import { behind, bytes, count, milliseconds, outcome, PASSING, reason, saying, seconds, STATIONS, station, step } from "./words.js";

/** Samples that are kept: ten minutes, as the sidecar keeps them. */
const SAMPLES_MAX = 600;
const EVENTS_MAX = 100;
/** The copy's rate is that of so many seconds. */
const RATE_OVER = 10;
/** Between two looks at the report. */
const REPORT_MS = 30_000;

let status = null;
let samples = [];
let events = [];
/** The order that is being carried out. */
let busy = null;
/** Whether the token was asked for; not again and again. */
let asked = false;
/** Why the sidecar tells nothing without a token, if it does not. */
let refused = null;

const names = () => ({ source: status?.source?.name ?? "the source", target: status?.target?.name ?? "the target" });

// ---- What is heard ----

function heard(kind, data) {
  if (kind === "status") {
    status = data;
    sample();
    show();
    return;
  }
  if (kind === "verify_progress") return;
  events.push({ kind, data });
  events = events.slice(-EVENTS_MAX);
  cards.events(events);
  // An event says that something is other than a moment ago; the next status may be a second away.
  soon();
}

let looking = false;
async function soon() {
  if (looking) return;
  looking = true;
  try {
    heard("status", await get("v1/status"));
  } catch {
    // Whoever follows says it.
  } finally {
    looking = false;
  }
}

function sample() {
  const now = Date.now();
  const sum = (classes) => Object.values(classes ?? {}).reduce((total, n) => total + n, 0);
  const last = samples.at(-1);
  if (last && last.heard && now - last.heard < 900) return;
  const { link = {}, traffic = {} } = status;
  samples.push({
    // On the sidecar's clock, as its own samples are.
    at_unix_ms: last ? Math.max(last.at_unix_ms + 1, now + skew) : now,
    heard: now,
    lag_bytes: link.lag_bytes, lag_ms: link.lag_ms, bytes_done: link.bytes_done,
    source: sum(traffic.source), target: sum(traffic.target),
    refused: (traffic.refused ?? []).reduce((total, entry) => total + entry.count, 0),
  });
  samples = samples.slice(-SAMPLES_MAX);
}

let skew = 0;
async function remember() {
  const past = await get("v1/history");
  samples = past.samples ?? [];
  events = (past.events ?? []).slice(-EVENTS_MAX);
  // The newest sample is a second old at most; better than two clocks that nobody compared.
  if (samples.length) skew = samples.at(-1).at_unix_ms - Date.now();
  cards.events(events);
}

let followed = "";
function state(word, failure) {
  if (word !== "lost" && followed !== "live" && followed !== "polling") begin();
  followed = word;
  const live = find("live");
  live.className = `live ${{ live: "on", polling: "slow", lost: "off" }[word]}`;
  say(find("live-text"), word === "live" ? "Live" : word === "polling" ? "Every second" : failure?.wantsToken ? "A token is needed" : "No answer: what is shown is old");
  document.querySelector("main").classList.toggle("stale", word === "lost");
  refused = failure?.wantsToken ? failure : null;
  token();
  if (refused && !asked) askForToken(refused);
}

/** The place in the bar where a token is given or forgotten. */
function token() {
  find("token").hidden = !refused && !hasToken();
  say(find("token"), refused ? "Enter the token…" : "Forget the token");
}

/** What is fetched once, and again after the sidecar was away. */
function begin() {
  remember().then(() => status && show()).catch(() => {});
  look();
}

let reportClock;
async function look() {
  clearTimeout(reportClock);
  try {
    cards.report(await get("v1/report"), null);
  } catch (failure) {
    cards.report(null, failure);
    if (failure.status === 501) return;
  }
  reportClock = setTimeout(look, REPORT_MS);
}

// ---- What is shown ----

function show() {
  const { source, target } = names();
  say(find("pair"), `${source} → ${target}`);
  document.title = `${status.phase.replaceAll("_", " ")} · Handover`;
  fill(find("alarms"), status.alarms ?? [], (alarms) => alarms.map((alarm) => h("p", { class: "card alarm" }, h("strong", {}, "Alarm "), reason(alarm))));
  track();
  const [headline, next] = saying(status, source, target);
  say(find("headline"), headline);
  say(find("next"), next);
  copying();
  const marks = events.filter(({ kind, data }) => kind === "outcome" && data.at_unix_ms).map(({ data }) => data.at_unix_ms);
  cards.readiness(status);
  cards.lag(status, samples, marks);
  flow(cards.traffic(status, samples, marks, names()));
  cards.refused(status, samples);
  cards.cutover(status);
  cards.comparison(status.verify);
  cards.who(status);
  actions();
}

function track() {
  const here = station(status);
  fill(find("track"), [status.phase, status.step], () => STATIONS.map(([name], at) => {
    const passed = at < here || status.phase === "finalized";
    const present = at === here && !passed;
    const moving = present && PASSING.includes(status.phase);
    return h("li", { class: [passed && "done", present && "here", moving && "moving"].filter(Boolean).join(" "), "aria-current": at === here ? "step" : null },
      h("span", { class: "dot", "aria-hidden": "true" }, passed ? "✓" : ""),
      h("span", { class: "name" }, present && status.phase === "rolling_back" ? "Switch back" : present && status.phase === "aborting" ? "Undo" : name),
      h("span", { class: "under" }, present && status.step ? step(status.step) : ""));
  }));
}

function flow(rates) {
  const { link = {}, active_side: active } = status;
  const { source, target } = names();
  for (const [side, name] of [["source", source], ["target", target]]) {
    const place = find(`${side}-side`);
    place.classList.toggle("active", side === active);
    say(place.querySelector(".name"), name);
    const follower = { streaming: "follows", syncing: "is being filled", connecting: "waits for its copy", broken: "has fallen behind" }[link.phase];
    say(place.querySelector(".owns"), side === active ? "The application writes here" : status.phase === "finalized" ? "no longer used" : follower ?? "not in use");
    say(place.querySelector(".rate"), `${count(rates[side])} requests a second`);
  }
  const flows = link.phase === "streaming" || link.phase === "syncing";
  const none = !flows && link.phase !== "connecting" && link.phase !== "broken";
  find("link").className = ["link", flows && "flows", link.phase === "broken" && "broken", active === "target" && "back", none && "none"].filter(Boolean).join(" ");
  say(find("link").querySelector(".what"), none ? (status.phase === "finalized" || status.phase === "idle" ? "" : "no replication") : `${link.driver}: ${link.phase}`);
  say(find("link").querySelector(".lag"), none || link.phase === "syncing" ? "" : link.lag_bytes === 0 ? "nothing behind" : `${behind(link)} behind`);
  const trouble = [link.last_error && `The link's last error: ${link.last_error}`, link.waiting_for && `Waiting for ${link.waiting_for}`].filter(Boolean);
  find("link-error").hidden = !trouble.length;
  find("link-error").className = `note ${link.last_error ? "bad" : "warn"}`;
  say(find("link-error"), trouble.join(" "));
}

function copying() {
  const copies = status.phase === "syncing" || status.phase === "preparing";
  find("copy").hidden = !copies;
  if (!copies) return;
  const { bytes_done: done, bytes_total: total } = status.link ?? {};
  const bar = find("copy-bar");
  if (total && done != null) {
    bar.max = total;
    bar.value = done;
  } else {
    bar.removeAttribute("value");
  }
  const recent = samples.slice(-1 - RATE_OVER);
  const [now, before] = [recent.at(-1), recent.find((it) => it.bytes_done != null)];
  const elapsed = now && before ? (now.at_unix_ms - before.at_unix_ms) / 1000 : 0;
  const rate = elapsed > 0.5 && now.bytes_done >= before.bytes_done ? (now.bytes_done - before.bytes_done) / elapsed : 0;
  const parts = [done == null ? "Waiting for the source to begin" : total ? `${bytes(done)} of ${bytes(total)} (${Math.floor((100 * done) / total)} %)` : `${bytes(done)} so far`];
  if (rate > 0) parts.push(`${bytes(rate)} a second`);
  if (rate > 0 && total > done) parts.push(`about ${seconds((total - done) / rate)} left`);
  say(find("copy-text"), parts.join(", "));
}

// ---- What can be done ----

const RUNNING = ["arming", "holding", "draining", "catching_up", "detaching", "rolling_back"];

/** What a phase offers: key, name, what it does, style, and why not now. */
function offered() {
  const why = (can) => (can ? null : (status.reasons ?? []).map(reason));
  switch (status.phase) {
    case "idle": case "rolled_back": return [["migrate", "Migrate…", migrate, "first"]];
    case "preparing": case "syncing": return [["abort", "Abort…", abort, "grave"]];
    case "in_sync": return [["cutover", "Cut over…", cutover, "first", why(status.can_cut_over)], ["dry", "Dry run", dryRun, ""]];
    case "committed": return [["rollback", "Roll back…", rollback, "", why(status.can_roll_back)], ["finalize", "Finalize…", finalize, ""]];
    default: return RUNNING.includes(status.phase) ? [["abort", "Abort…", abort, "grave"]] : [];
  }
}

function actions() {
  const offers = offered();
  fill(find("actions"), [offers, busy], () => offers.map(([key, name, act, style, why]) => h("button", {
      type: "button", "data-key": key, class: style || null,
      "aria-disabled": why || (busy && key !== "abort") ? "true" : null,
      onclick: () => (busy && key !== "abort" ? null : why ? tell("warn", `Not now: ${name.replace("…", "").toLowerCase()} would be refused.`, why) : act()),
    }, name)));
}

const p = (...content) => h("p", {}, ...content);

function migrate() {
  const { source, target } = names();
  ask({
    title: `Copy ${source} to ${target}?`,
    text: [p("Everything that ", h("strong", {}, target), " holds now is deleted, and replaced by a copy of ", h("strong", {}, source), "."), p("The application goes on meanwhile.")],
    label: `To confirm, type the target's name: ${target}`, expected: target, yes: "Migrate", style: "first",
    act: (typed) => order("migrate", { confirm_flush: typed }),
  });
}

function cutover() {
  const { source, target } = names();
  ask({
    title: `Switch the application to ${target}?`,
    text: [p("Writes wait for some milliseconds, reads do not. If anything is not as it must be in time, everything stays on ", h("strong", {}, source), "."), p("Until you finalize, a rollback is possible.")],
    label: "Longest wait of writes, if not the configured one (like 500ms)", optional: true, yes: "Cut over", style: "first",
    act: (typed) => order("cutover", typed ? { max_pause: typed } : {}),
  });
}

const dryRun = () => order("cutover", { dry_run: true });

function abort() {
  const { source } = names();
  const attempt = status.phase !== "preparing" && status.phase !== "syncing";
  ask({
    title: attempt ? "Call the switch off?" : "Stop the copy?",
    text: [p(attempt ? "What is not committed is undone; the application goes on where it was." : `The application stays on ${source}. What was copied is of no use then: the next migration copies anew.`)],
    yes: "Abort", style: "grave first", act: () => order("abort", {}),
  });
}

function rollback() {
  const { source, target } = names();
  ask({
    title: `Go back to ${source}?`,
    text: [p("The same switch in the other direction: ", h("strong", {}, source), " has everything that was written to ", h("strong", {}, target), " since.")],
    yes: "Roll back", style: "first", act: () => order("rollback", {}),
  });
}

function finalize() {
  const { source, target } = names();
  ask({
    title: "Give up the way back?",
    text: [p("The application stays on ", h("strong", {}, target), ", and ", h("strong", {}, source), " no longer follows it. This cannot be undone.")],
    yes: "Finalize", style: "grave first", act: () => order("finalize", {}),
  });
}

async function order(name, body) {
  busy = name;
  if (status) actions();
  tell("", `${{ migrate: "Starting the copy", cutover: body.dry_run ? "Trying" : "Switching", abort: "Undoing", rollback: "Going back", finalize: "Finishing" }[name] ?? name}…`);
  try {
    const ended = await post(`v1/${name}`, body);
    const [level, sentence] = outcome(ended);
    const paused = ended.write_pause_ms ? `; writes waited ${milliseconds(ended.write_pause_ms)}` : "";
    tell(level, `${sentence}${paused}.`, (ended.reasons ?? []).map(reason));
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    if (failure.wantsToken) {
      tell("warn", "Nothing was done: a token is needed for that.");
      askForToken(failure, () => order(name, body));
    } else if (failure.status === 0) {
      tell("bad", `The answer did not come (${failure.message}). What became of the order is not known: the state above says it.`);
    } else {
      tell("bad", `Refused: ${failure.message}`, failure.reasons.map(reason).filter((text) => text !== failure.message));
    }
  } finally {
    busy = null;
    if (status) actions();
    soon();
  }
}

function tell(level, sentence, reasons = []) {
  put(find("said"), h("div", { class: `note ${level}` }, h("p", {}, sentence), reasons.length ? signed(reasons.map((text) => ["warn", text])) : ""));
}

// ---- The dialog ----

let question = null;

function ask(asking) {
  question = asking;
  const field = find("ask-field"), input = find("ask-input"), yes = find("ask-yes");
  find("ask-title").textContent = asking.title;
  find("ask-text").replaceChildren(...asking.text);
  find("ask-error").hidden = true;
  field.hidden = !asking.label;
  find("ask-label").textContent = asking.label ?? "";
  input.type = asking.secret ? "password" : "text";
  input.value = "";
  yes.textContent = asking.yes;
  yes.className = asking.style ?? "first";
  find("ask").showModal();
  (asking.label ? input : find("ask-no")).focus();
}

find("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = find("ask-input").value.trim();
  const { expected, label, optional, act } = question;
  if (label && !optional && (expected ? typed !== expected : !typed)) {
    find("ask-error").textContent = expected ? `That is not ${expected}.` : "Something must be typed.";
    find("ask-error").hidden = false;
    find("ask-input").focus();
    return;
  }
  find("ask-input").value = "";
  find("ask").close();
  // The button that asked may be gone by now; keys go on from the place where it was.
  find("actions").focus({ preventScroll: true });
  act(typed);
});

find("ask-no").addEventListener("click", () => find("ask").close());

function askForToken(failure, then) {
  if (find("ask").open) return;
  asked = true;
  ask({
    title: "A token is needed",
    text: [p(failure.code === "token_wrong" ? "The one that was given is not right. " : failure.code === "token_reads_only" ? "The one that was given may only look. " : "", "It is the content of ", h("code", {}, "admin.token_file"), " on the sidecar's machine. It is kept in this tab alone, until it is closed.")],
    label: "Token", secret: true, yes: "Go on", style: "first",
    act: (typed) => {
      keepToken(typed);
      asked = false;
      token();
      hurry();
      then?.();
    },
  });
}

find("token").addEventListener("click", () => {
  if (refused) {
    askForToken(refused);
    return;
  }
  keepToken("");
  token();
  tell("", "The token is forgotten.");
});

find("preflight-run").addEventListener("click", async () => {
  const button = find("preflight-run");
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  try {
    cards.preflight(await get("v1/preflight"));
  } catch (failure) {
    if (failure.wantsToken) askForToken(failure);
    put(find("preflight"), h("p", { class: "note bad" }, failure.message));
  } finally {
    button.removeAttribute("aria-disabled");
  }
});

find("verify-run").addEventListener("click", async () => {
  try {
    await post("v1/verify", {});
    soon();
  } catch (failure) {
    if (failure.wantsToken) askForToken(failure, () => find("verify-run").click());
    else put(find("verify"), h("p", { class: "note bad" }, failure.message));
  }
});

// The charts are drawn as wide as they are shown.
new ResizeObserver(() => status && show()).observe(document.querySelector("main"));

follow(heard, state);
