// What is said, and how numbers are written. Pure.

/** The stations of the track, with the phases in which the migration is there. */
export const STATIONS = [
  ["Start", ["idle", "rolled_back"]],
  ["Copy", ["preparing", "syncing"]],
  ["In sync", ["in_sync"]],
  ["Switch", ["arming", "holding", "draining", "catching_up", "detaching", "rolling_back"]],
  ["On the target", ["committed"]],
  ["Finished", ["finalized"]],
];

/** Phases that pass by themselves. */
export const PASSING = ["preparing", "syncing", "arming", "holding", "draining", "catching_up", "detaching", "aborting", "rolling_back"];

/** At which station; an undoing is where the thing is that it undoes. */
export function station(status) {
  if (status.phase === "aborting") return status.active_side === "target" ? 4 : 3;
  return STATIONS.findIndex(([, phases]) => phases.includes(status.phase));
}

const STEPS = {
  arm: "preparing sessions", hold: "holding writes", drain: "waiting for writes in flight", release_blocked: "releasing blocked commands",
  mark: "writing the marker", fence: "closing the side that is left to writers", sample: "reading the position",
  catch_up: "waiting for the last bytes", await_marker: "waiting for the marker", align: "aligning subscriptions",
  detach: "ending the replication", commit: "writing the decision to disk", move: "moving sessions", reverse: "turning the replication round",
  release: "letting writes go on", unfence: "opening the side again",
};

export const step = (name) => STEPS[name] ?? (name ?? "").replaceAll("_", " ");

/** Headline and next step. */
export function saying(status, source, target) {
  const active = status.active_side === "target" ? target : source;
  switch (status.phase) {
    case "idle": return [`The application runs on ${source}`, `Nothing is being moved. “Migrate” copies everything to ${target}; the application goes on meanwhile.`];
    case "rolled_back": return [`Back on ${source}`, "The copy must be made anew before the next switch."];
    case "preparing": return [`Preparing the copy to ${target}`, "The application does not notice."];
    case "syncing": return [`Copying ${source} to ${target}`, "The application goes on as before. Wait until everything is there."];
    case "in_sync": return status.can_cut_over
      ? [`Ready to switch to ${target}`, status.verify ? "The switch takes milliseconds, and can be undone." : "Compare the sides first if you like; the switch takes milliseconds, and can be undone."]
      : [`${target} follows ${source}; not ready to switch`, "The reasons are below. Most pass by themselves."];
    case "arming": case "holding": case "draining": case "catching_up": case "detaching":
      return [`Switching to ${target}`, `${sentence(step(status.step))}. If anything is not as it must be, the application stays on ${source}.`];
    case "committed": return status.can_roll_back
      ? [`The application runs on ${target}`, `${source} follows it: “Roll back” returns there without loss. “Finalize” gives up that way.`]
      : [`The application runs on ${target}`, "There is no way back at the moment; the reasons are below. “Finalize” ends the migration."];
    case "finalized": return ["Finished", `Point the application at ${target} itself, then take the sidecar away.`];
    case "aborting": return ["Undoing", `The application runs on ${active}.`];
    case "rolling_back": return [`Going back to ${source}`, status.step ? `${sentence(step(status.step))}.` : ""];
    default: return [status.phase, "This page does not know this phase: is it of another version than the sidecar?"];
  }
}

/** What is wrong, in a sentence that this page can show: a reason is a text or an object with one. */
export const reason = (entry) => (typeof entry === "string" ? entry : entry?.message ?? JSON.stringify(entry));

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

const OUTCOMES = {
  committed: ["good", "Switched: the target is active"], aborted: ["warn", "Called off: nothing has changed"],
  rolled_back: ["good", "Rolled back: the source is active"], finalized: ["good", "Finalized: the way back is given up"],
  migrating: ["good", "The copy has begun"],
};

/** Level and sentence of an outcome. */
export function outcome(ended) {
  if (ended.outcome === "dry_run") {
    return (ended.reasons ?? []).length ? ["warn", "Dry run: a switch would be refused now"] : ["good", "Dry run: a switch would be accepted now"];
  }
  return OUTCOMES[ended.outcome] ?? ["", ended.outcome];
}

export const LEVEL = { ok: "good", info: "", warning: "warn", error: "bad" };

export function bytes(value) {
  if (value == null) return "unknown";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function count(value) {
  if (value == null) return "unknown";
  return value < 10_000 ? String(Math.round(value)) : value < 1e6 ? `${(value / 1e3).toFixed(1)}k` : value < 1e9 ? `${(value / 1e6).toFixed(1)}M` : `${(value / 1e9).toFixed(1)}G`;
}

export function milliseconds(value) {
  if (value == null) return "unknown";
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : value >= 100 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
}

export function seconds(value) {
  if (value < 60) return `${Math.max(1, Math.round(value))} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
}

/** How far behind, in whichever unit the link knows. */
export function behind(link) {
  if (link.lag_bytes != null) return bytes(link.lag_bytes);
  return link.lag_ms != null ? milliseconds(link.lag_ms) : "unknown";
}

export const clock = (unixMs) => new Date(unixMs).toLocaleTimeString([], { hour12: false });

export function ago(unixMs, nowMs) {
  const past = Math.max(0, (nowMs - unixMs) / 1000);
  return past < 5 ? "just now" : `${seconds(past)} ago`;
}
