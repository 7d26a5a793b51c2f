// A line over the last minutes, drawn by hand: time to the right, zero at the bottom, and a gap where nothing is known.

import { svg } from "./dom.js";

const WIDTH = 480;
const HEIGHT = 150;
const LEFT = 4;
const RIGHT = 476;
const TOP = 14;
const BOTTOM = 128;
/** What the chart spans. */
const SPAN_MS = 600_000;

/**
 * Draws `series`, each `{ mark: "a" | "b", points: [[at, value or null]…] }`, up to `now`; `marks` are moments that get a
 * line. `write` turns a value into a text, `floor` is the least that the top of the scale may be, `binary` rounds it as bytes are.
 */
export function draw(place, { label, series, marks = [], now, write, floor, binary = false }) {
  const values = series.flatMap(({ points }) => points.map(([, value]) => value ?? 0));
  const most = Math.max(floor, ...values);
  const top = binary ? 2 ** Math.ceil(Math.log2(most)) : roundUp(most);
  // As wide as it is shown, so that letters keep their shape.
  const width = place.clientWidth || WIDTH;
  const stretch = (width - (WIDTH - RIGHT) - LEFT) / (RIGHT - LEFT);
  const x = (at) => LEFT + ((RIGHT - LEFT) * Math.max(0, SPAN_MS - (now - at)) * stretch) / SPAN_MS;
  const y = (value) => BOTTOM - ((BOTTOM - TOP) * value) / top;
  const right = x(now);
  const grid = [0, 0.5, 1].flatMap((part) => [
    svg("line", { class: "grid", x1: LEFT, x2: right, y1: y(top * part), y2: y(top * part) }),
    part > 0 && svg("text", { x: LEFT, y: y(top * part) - 4 }, write(top * part)),
  ]);
  const times = [[10, LEFT, "start"], [5, (LEFT + right) / 2, "middle"], [0, right, "end"]].map(([minutes, at, anchor]) =>
    svg("text", { x: at, y: HEIGHT - 5, "text-anchor": anchor }, minutes ? `${minutes} min ago` : "now"));
  const events = marks.filter((at) => now - at < SPAN_MS).map((at) =>
    svg("line", { class: "event", x1: x(at), x2: x(at), y1: TOP, y2: BOTTOM }));
  const lines = series.flatMap(({ mark, points }) => pieces(points, now).flatMap((piece) => {
    const path = piece.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    const [[first], [last]] = [piece[0], piece[piece.length - 1]];
    return [
      svg("path", { class: `${mark} area`, d: `${path}L${x(last).toFixed(1)} ${BOTTOM}L${x(first).toFixed(1)} ${BOTTOM}Z` }),
      svg("path", { class: `${mark} stroke`, d: path }),
    ];
  }));
  place.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label }, grid, events, lines, times));
}

/** Runs of known values within the span; a hole in time is a gap too. */
function pieces(points, now) {
  const runs = [];
  let run = [];
  let before = null;
  for (const [at, value] of points) {
    if (now - at > SPAN_MS) continue;
    if (value == null || (before != null && at - before > 5_000)) {
      if (run.length) runs.push(run);
      run = [];
    }
    if (value != null) run.push([at, value]);
    before = at;
  }
  if (run.length) runs.push(run);
  return runs;
}

/** The next 1, 2 or 5 of its order of magnitude. */
function roundUp(value) {
  const order = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((digit) => digit * order).find((round) => round >= value) ?? value;
}
