// The cards below the track: each takes a document and shows it in its place.

import { fill, find, h, say, signed, svg, table } from "./dom.js";
import { draw } from "./chart.js";
import { ago, behind, bytes, clock, count, LEVEL, milliseconds, outcome, reason, seconds, step } from "./words.js";

/** Rates are over so many samples: two that happen to be close to each other say little. */
const RATE_OVER = 4;
/** A hole that is longer than this many milliseconds has no rate. */
const HOLE_MS = 12_000;

const quiet = (text) => h("p", { class: "quiet" }, text);

/** Steps during which writes wait; before and after them nobody notices anything. */
const UNFELT = ["arm", "reverse"];

/** Whether the next step may be taken, and every reason why not. */
export function readiness(status) {
  const facts = [status.phase, status.can_cut_over, status.can_roll_back, status.reasons];
  fill(find("ready"), facts, () => {
    const reasons = (status.reasons ?? []).map((entry) => ["warn", reason(entry)]);
    const list = reasons.length ? signed(reasons) : null;
    switch (status.phase) {
      case "in_sync": return status.can_cut_over
        ? [h("p", { class: "big good" }, "Yes"), quiet("The target has what the source has, and keeps up.")]
        : [h("p", { class: "big warn" }, "Not now"), list];
      case "committed": return status.can_roll_back
        ? [h("p", { class: "big good" }, "Switched. A rollback is possible"), list ?? quiet("The old source follows the target and keeps up.")]
        : [h("p", { class: "big warn" }, "Switched. No rollback at the moment"), list];
      case "finalized": return quiet("There is nothing left to switch.");
      default: return list ? [h("p", { class: "big" }, "Not yet"), list] : quiet("Not yet: first comes the copy.");
    }
  });
}

/** The lag's chart, in the unit that the link knows. */
export function lag(status, samples, marks) {
  const inTime = status.link?.lag_bytes == null && samples.some((sample) => sample.lag_ms != null) && !samples.some((sample) => sample.lag_bytes != null);
  const key = inTime ? "lag_ms" : "lag_bytes";
  say(find("lag-now"), status.phase === "idle" || status.phase === "finalized" ? "" : behind(status.link ?? {}));
  const known = samples.filter((sample) => sample[key] != null);
  if (!known.length) return fill(find("lag-chart"), "none", () => quiet("Nothing is being copied, so nothing is behind."));
  const most = Math.max(...known.map((sample) => sample[key]));
  const write = inTime ? milliseconds : bytes;
  draw(find("lag-chart"), {
    label: `How far behind over the last ten minutes: now ${behind(status.link ?? {})}, at most ${write(most)}`,
    series: [{ mark: "a", points: samples.map((sample) => [sample.at_unix_ms, sample[key]]) }],
    marks, now: newest(samples), write, floor: inTime ? 100 : 1024, binary: !inTime,
  });
}

/** Requests a second by side, over time and by class. */
export function traffic(status, samples, marks, names) {
  const rates = (side) => samples.slice(1).map((sample, at) => [sample.at_unix_ms, perSecond(samples[Math.max(0, at + 1 - RATE_OVER)], sample, (it) => it[side])]);
  const [source, target] = [rates("source"), rates("target")];
  const latest = ([, value] = [0, null]) => value ?? 0;
  const now = { source: latest(source.at(-1)), target: latest(target.at(-1)) };
  say(find("traffic-now"), `${count(now.source + now.target)} a second`);
  if (samples.length > 2) {
    draw(find("traffic-chart"), {
      label: `Requests a second over the last ten minutes: now ${count(now.source)} to the source, ${count(now.target)} to the target`,
      series: [{ mark: "a", points: source }, { mark: "b", points: target }], marks, now: newest(samples), write: count, floor: 10,
    });
  }
  const sum = status.traffic ?? {};
  fill(find("traffic"), [sum.source, sum.target, sum.held, names], () => {
    const classes = Object.keys(sum.source ?? {}).filter((name) => sum.source[name] || sum.target?.[name]);
    return [
      h("p", { class: "key", "aria-hidden": "true" }, h("span", { class: "a" }, h("i"), names.source), h("span", { class: "b" }, h("i"), names.target)),
      classes.length
        ? table(["Since the start", `#${names.source}`, `#${names.target}`], classes.map((name) => [name, count(sum.source[name]), count(sum.target?.[name])]))
        : quiet("No request has come yet."),
      sum.held ? h("p", { class: "note warn" }, `${sum.held} ${sum.held === 1 ? "request waits" : "requests wait"} for the switch to end.`) : null,
    ];
  });
  return now;
}

/** Who writes where it must not yet. */
export function refused(status, samples) {
  const commands = status.traffic?.refused ?? [];
  const clients = status.refused_clients ?? [];
  const total = commands.reduce((sum, { count: n }) => sum + n, 0);
  const past = samples.at(-61) ?? samples[0];
  const lately = past ? Math.max(0, total - past.refused) : 0;
  say(find("refused-now"), total ? `${count(total)}; ${count(lately)} in the last minute` : "");
  const refuses = (status.listeners ?? []).some((listener) => listener.writes === "refuse");
  const now = newest(samples);
  fill(find("refused"), [commands, clients.map((client) => [client, ago(client.last_seen_ms, now)]), refuses], () => {
    if (!total) return quiet(refuses ? "None so far." : "No listener refuses writes.");
    return [
      table(["Client", "Last command", "Last seen", "#Refused"], clients.map((client) => [
        h("span", {}, client.name ? h("strong", {}, client.name) : null, client.name ? " " : null, client.address, h("span", { class: "quiet" }, ` on ${client.listener}`)),
        client.command, ago(client.last_seen_ms, now), count(client.count),
      ])),
      h("p", { class: "quiet" }, "By command: ", commands.slice(0, 8).map((entry) => `${entry.command} ${count(entry.count)}`).join(", "), commands.length > 8 ? " …" : ""),
    ];
  });
}

/** The newest attempt that was felt, step by step. */
export function cutover(status) {
  const last = status.last_cutover;
  fill(find("cutover"), [last ?? null], () => {
    if (!last) return quiet("There was none yet.");
    const [level, sentence] = outcome(last);
    const whole = (last.steps ?? []).reduce((sum, { ms }) => sum + ms, 0) || 1;
    let begin = 0;
    const rows = (last.steps ?? []).map(({ name, ms }) => {
      const bar = svg("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true", class: UNFELT.includes(name) ? null : "held" },
        svg("rect", { x: (100 * begin) / whole, width: Math.max(0.8, (100 * ms) / whole), y: 0, height: 8 }));
      begin += ms;
      return [step(name), bar, milliseconds(ms)];
    });
    return [
      h("p", { class: `big ${level}` }, sentence),
      h("dl", { class: "pauses" },
        h("div", {}, h("dt", {}, "writes waited"), h("dd", {}, milliseconds(last.write_pause_ms))),
        h("div", {}, h("dt", {}, "reads waited"), h("dd", {}, milliseconds(last.read_pause_ms)))),
      (last.reasons ?? []).length ? signed(last.reasons.map((entry) => ["warn", reason(entry)])) : null,
      rows.length ? table(["Step", "", "#Took"], rows, { class: "steps" }) : null,
    ];
  });
}

/** The findings of a preflight, the worst first. */
export function preflight({ findings }) {
  const order = ["error", "warning", "ok"];
  const sorted = [...findings].sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
  const bad = sorted.filter(({ level }) => level !== "ok");
  const good = sorted.filter(({ level }) => level === "ok");
  const lines = (some) => signed(some.map((finding) => [LEVEL[finding.level] ?? "", finding.message,
    h("span", { class: "quiet" }, finding.what_to_do ?? finding.check.replaceAll("_", " "))]));
  fill(find("preflight"), sorted, () => [
    h("p", { class: `big ${bad.some(({ level }) => level === "error") ? "bad" : bad.length ? "warn" : "good"}` },
      bad.length ? `${bad.length} of ${sorted.length} checks ask for attention` : `All ${sorted.length} checks are in order`),
    bad.length ? lines(bad) : null,
    good.length ? h("details", {}, h("summary", {}, `${good.length} in order`), lines(good)) : null,
  ]);
}

/** What the application's own commands will meet on the target. */
export function report(document, failure) {
  fill(find("report"), [document, failure?.status, failure?.message], () => {
    if (failure) return quiet(failure.status === 501 ? "Not available in this version." : `No report: ${failure.message}.`);
    const open = document.findings.filter((finding) => !finding.accepted);
    const accepted = document.findings.length - open.length;
    const watched = `Measured against a target of the kind ${document.profile.replaceAll("_", " ")}${document.target_commands_known ? "" : ", which has not said yet which commands it has"}.`;
    return [
      open.length ? null : h("p", { class: "big good" }, "Nothing found"),
      signed(open.map((finding) => [LEVEL[finding.severity] ?? "warn",
        h("strong", {}, finding.command, ` ${finding.rule.replaceAll("_", " ")}`), ` ${finding.message}`,
        h("span", { class: "quiet" }, finding.what_to_do),
        h("span", { class: "quiet" }, `${count(finding.count)} times, last at ${clock(finding.last_seen_ms)}${from(finding.clients)}`),
        finding.example ? h("span", { class: "quiet" }, h("code", {}, finding.example)) : null])),
      quiet(accepted ? `${watched} ${accepted} accepted in the configuration.` : watched),
    ];
  });
}

const from = (clients = []) => (clients.length
  ? `, from ${clients.slice(0, 3).map((client) => [client.name, client.address, client.library].filter(Boolean).join(" ")).join("; ")}${clients.length > 3 ? " …" : ""}` : "");

/** The newest comparison of the sides. */
export function comparison(verify) {
  find("verify-run").disabled = Boolean(verify?.running);
  fill(find("verify"), [verify ?? null], () => {
    if (!verify) return null;
    if (verify.running) {
      const done = verify.keys_expected ? Math.min(1, verify.keys_done / verify.keys_expected) : null;
      return [h("progress", { max: 1, value: done, "aria-label": "Comparison" }),
        quiet(verify.round == null ? "Begins…" : `Round ${verify.round}: ${count(verify.keys_done)} of about ${count(verify.keys_expected)} keys, ${count(verify.differing)} differ so far${verify.seconds_left != null ? `, ${seconds(verify.seconds_left)} left` : ""}`)];
    }
    if (verify.error) return h("p", { class: "note bad" }, `It failed: ${verify.error}`);
    const found = verify.summary ?? {};
    return [
      found.differing ? h("p", { class: "big bad" }, `${count(found.differing)} of ${count(found.keys)} keys differ`)
        : h("p", { class: "big good" }, `All ${count(found.keys)} keys are the same`),
      quiet([`Took ${seconds(found.seconds ?? 0)}.`, found.unsettled ? `${count(found.unsettled)} keys changed at each look and are not judged.` : "",
        found.caught_up === false ? "The other side had not caught up at the last look." : "", found.overflowed ? "More differed than could be looked at again." : ""].filter(Boolean).join(" ")),
      found.sample?.length ? signed(found.sample.map((entry) => ["bad", h("code", {}, entry.key), ` in database ${entry.database}: ${kinds(entry.what)}`])) : null,
    ];
  });
}

const kinds = (what) => (Array.isArray(what) ? what.join(", ") : String(what)).replaceAll("_", " ");

/** What happened, the newest first. */
export function events(list) {
  fill(find("events"), list, () => (list.length ? h("ul", { class: "list events" }, [...list].reverse().map(({ kind, data }) => h("li", {},
    h("time", {}, data.at_unix_ms ? clock(data.at_unix_ms) : "–"),
    h("span", { class: kind === "alarm" ? "loud" : kind === "warning" ? "warned" : null }, told(kind, data))))) : quiet("Nothing since the sidecar started.")));
}

function told(kind, data) {
  const text = data.text ?? data.message ?? "";
  switch (kind) {
    case "phase": return `Phase: ${text.replaceAll("_", " ")}`;
    case "step": return `Step: ${text}`;
    case "alarm": return `Alarm: ${text}`;
    case "alarm_cleared": return `Alarm over: ${text}`;
    case "warning": return `Warning: ${text}`;
    case "outcome": return `Ended: ${text}`;
    case "verify_ended": return data.error ? `The comparison failed: ${data.error}` : `The comparison ended: ${count(data.summary?.differing)} keys differ`;
    default: return `${kind.replaceAll("_", " ")}: ${text}`;
  }
}

/** Sessions, listeners, members. */
export function who(status) {
  const sessions = status.sessions ?? {};
  const members = status.members ?? [];
  fill(find("who"), [sessions, status.listeners, members], () => [
    h("dl", { class: "counts" }, [["open", "open"], ["in_transaction", "in a transaction"], ["blocked", "blocked"], ["subscribed", "subscribed"], ["private", "private"]]
      .map(([key, name]) => h("div", {}, h("dt", {}, name), h("dd", {}, count(sessions[key] ?? 0))))),
    table(["Listener", "Address", "Reads", "Writes"], (status.listeners ?? []).map((it) => [it.name, it.address, `${it.reads} side`, it.writes === "refuse" ? "refused until the switch" : `${it.writes} side`])),
    members.length
      ? table(["Member", "State"], members.map((member) => (typeof member === "string" ? [member, ""] : [member.name ?? member.member ?? "?", member.state ?? member.phase ?? ""])))
      : quiet("This sidecar is alone: it has no fleet."),
  ]);
}

const newest = (samples) => samples.at(-1)?.at_unix_ms ?? Date.now();

/** A rate between two samples; unknown over a hole, and over a restart, which begins to count anew. */
function perSecond(before, after, pick) {
  const elapsed = after.at_unix_ms - before.at_unix_ms;
  const grown = pick(after) - pick(before);
  return elapsed <= 0 || elapsed > HOLE_MS || grown < 0 ? null : (1000 * grown) / elapsed;
}
