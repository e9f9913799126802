// Numbers, units and times as words. "–" is "no value"; a space stands before a unit.

export const NONE = "–";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const known = (value) => value != null && value !== "" && Number.isFinite(Number(value));

/** 58,805; from a million on 1.0 M, 790 M, 1.2 G. */
export function count(n) {
  if (!known(n)) return NONE;
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"]]) {
    if (Math.abs(n) >= size) return `${n / size < 10 ? (n / size).toFixed(1) : grouped.format(n / size)} ${unit}`;
  }
  return grouped.format(n);
}

/** A number with a fixed count of digits behind the point, grouped. */
export function number(value, digits = 2) {
  if (!known(value)) return NONE;
  return Number(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** About `digits` telling digits whatever the size: 0.00312, 4.21, 68.1, 1,204. */
export function telling(value, digits = 3) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return Number(value).toExponential(digits - 1);
  const before = size < 1 ? 1 : Math.floor(Math.log10(size)) + 1;
  return number(value, Math.max(0, digits - before + (size < 1 ? 1 : 0)));
}

/** "12.48 s". */
export const seconds = (s, digits = 2) => (known(s) ? `${number(s, digits)} s` : NONE);

/** Wall time as a clock: 0:18, 12:07, 1:02:40. */
export function clock(s) {
  if (!known(s)) return NONE;
  const whole = Math.max(0, Math.floor(s));
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** "0.31 ms". */
export const milliseconds = (ms) => (known(ms) ? `${number(ms, ms < 10 ? 2 : 1)} ms` : NONE);

/** 812 B, 14 kB, 17.0 MB, 1.2 GB. */
export function bytes(n) {
  if (!known(n)) return NONE;
  for (const [size, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (n >= size) return `${n / size < 100 && size > 1e3 ? (n / size).toFixed(1) : Math.round(n / size)} ${unit}`;
  }
  return `${n} B`;
}

/** "1 function", "4 functions": `plural(4, "function")`. */
export const plural = (n, word, many = `${word}s`) => `${count(n)} ${n === 1 ? word : many}`;

/** "20 s ago", "5 min ago", "3 h ago"; later as a date. */
export function ago(when, now = Date.now()) {
  const s = (now - Date.parse(when)) / 1000;
  if (!Number.isFinite(s)) return NONE;
  if (s < 2) return "just now";
  if (s < 90) return `${Math.round(s)} s ago`;
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  return s < 86400 ? `${Math.round(s / 3600)} h ago` : day(when);
}

/** "today 10:42", "yesterday 17:05", "12 Nov", "3 May 2025". */
export function day(when, now = new Date()) {
  const date = new Date(when);
  if (when == null || Number.isNaN(date.getTime())) return NONE;
  const days = Math.round((new Date(now).setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  if (days === 0) return `today ${time(date)}`;
  if (days === 1) return `yesterday ${time(date)}`;
  const options = { day: "numeric", month: "short", ...(date.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }) };
  return date.toLocaleDateString("en-GB", options);
}

/** "10:42". */
export function time(when) {
  const date = new Date(when);
  if (when == null || Number.isNaN(date.getTime())) return NONE;
  return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

/** The state of a simulation in one word for a person, and the kind of its chip. */
export function state(simulation) {
  const names = {
    created: ["Waiting", ""],
    initialised: ["Loading", ""],
    paused: ["Paused", ""],
    started: ["Running", "live"],
    stopping: ["Stopping", ""],
    stopped: ["Ended", ""],
    halted: ["Halted", "err"],
    failed: ["Failed", "err"],
  };
  const [text, kind] = names[simulation?.state] ?? [simulation?.state ?? NONE, ""];
  return { text, kind };
}

/** How a run ended, short: "limit reached", "halted, step 624". */
export function ended(run) {
  if (!run) return { text: NONE, kind: "" };
  if (run.outcome === "finished") return { text: "limit reached", kind: "" };
  if (run.outcome === "stopped") return { text: "stopped", kind: "" };
  if (run.outcome === "fault") return { text: run.steps ? `halted, step ${count(run.steps)}` : "failed to load", kind: "err" };
  if (run.outcome === "running") return { text: "running", kind: "live" };
  if (!run.outcome && !run.steps) return { text: "not recorded", kind: "" };
  return { text: run.outcome || "cut off", kind: run.outcome ? "" : "warn" };
}

/** The state of a job of the cluster in a word or two, and the kind of its chip. */
export function jobState(job) {
  const names = {
    waiting: ["Waiting", "dot"],
    starting: ["Starting", "dot"],
    serving: ["Serving", "live"],
    ending: ["Ending", "dot"],
    ended: ["Ended", ""],
    failed: ["Failed", "err"],
    aborted: ["Aborted", ""],
  };
  if (job?.state === "ended" && job.reason === "time limit") return { text: "Time limit met", kind: "warn" };
  const [text, kind] = names[job?.state] ?? [job?.state ?? NONE, ""];
  return { text, kind };
}

/** "812 J", "4.2 kJ", "1.3 MJ". */
export function energy(joules) {
  if (!known(joules)) return NONE;
  for (const [size, unit] of [[1e9, "GJ"], [1e6, "MJ"], [1e3, "kJ"]]) {
    if (joules >= size) return `${telling(joules / size, 3)} ${unit}`;
  }
  return `${number(joules, 0)} J`;
}

/** A sentence with its times of day as people write them: "since 2026-05-03T10:42:07Z" becomes "since 10:42". */
export const withTimes = (text) => String(text ?? "").replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, (stamp) => day(stamp).replace("today ", ""));
