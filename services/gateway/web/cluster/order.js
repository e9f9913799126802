// What somebody asks of the cluster: what it comes to, and what is wrong with it. No element, no socket.

import { NONE, count, number, plural } from "../words.js";

export const SIZES = ["nodes", "ranks_per_node", "threads_per_rank"];
const LEAST_S = 60;

/** Seconds of "1:30" (hours and minutes) or "0:02:30"; null for anything else. */
export function readTime(text) {
  const found = /^(\d{1,4}):([0-5]\d)(?::([0-5]\d))?$/.exec(String(text).trim());
  return found ? Number(found[1]) * 3600 + Number(found[2]) * 60 + Number(found[3] ?? 0) : null;
}

/** The same the other way round: "1:30", and "0:02:30" where it must be. */
export function writeTime(s) {
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(s / 3600), Math.floor(s / 60) % 60, Math.round(s % 60)];
  return `${hours}:${two(minutes)}${rest ? `:${two(rest)}` : ""}`;
}

/** The partition an order goes to: the named one, else the cluster's usual one. */
export const partitionOf = (order, offer) =>
  (offer.partitions ?? []).find((each) => (order.partition ? each.name === order.partition : each.default));

/** What the order may be at most, from the site's limits and the partition; undefined or null where nobody says. */
export function most(order, offer) {
  const limits = offer.limits ?? {};
  const part = partitionOf(order, offer);
  const least = (...values) => values.filter((value) => value != null).reduce((a, b) => Math.min(a, b), Infinity);
  const known = (value) => (Number.isFinite(value) ? value : null);
  return {
    nodes: known(least(limits.nodes, part?.nodes ? part.nodes - 1 : null)),
    time_s: known(least(limits.time_s, part?.time_limit_s)),
    ranks_per_node: limits.ranks_per_node ?? null,
    cores: limits.cores_per_node ?? null,
    memory_gb_per_node: limits.memory_gb_per_node ?? null,
  };
}

/** What an order comes to: virtual processes, nodes in all, cores of a brain node, node hours; NaN for what is unknown. */
export function sums(order) {
  const [nodes, ranks, threads] = SIZES.map((key) => order[key] ?? NaN);
  return { processes: nodes * ranks * threads, nodes: nodes + 1, cores: ranks * threads, node_hours: ((nodes + 1) * (order.time_s ?? NaN)) / 3600 };
}

const whole = (value) => Number.isInteger(value) && value >= 1;

/** One sentence for each field that is wrong: `{time_s: "…"}`; empty if the order can be sent. */
export function faults(order, offer) {
  const limit = most(order, offer);
  const found = {};
  for (const key of SIZES) if (!whole(order[key])) found[key] = "A whole number, 1 or more";
  if (!found.nodes && limit.nodes != null && order.nodes > limit.nodes) found.nodes = limit.nodes < 1 ? "This partition is too small: one more node is needed for the rest" : `At most ${plural(limit.nodes, "node")} here`;
  if (!found.ranks_per_node && limit.ranks_per_node != null && order.ranks_per_node > limit.ranks_per_node) found.ranks_per_node = `At most ${count(limit.ranks_per_node)} here`;
  const { cores } = sums(order);
  if (!found.ranks_per_node && !found.threads_per_rank && limit.cores != null && cores > limit.cores) found.threads_per_rank = `${count(cores)} threads, but a node has ${plural(limit.cores, "core")}`;
  if (order.memory_gb_per_node != null) {
    if (!(order.memory_gb_per_node > 0)) found.memory_gb_per_node = "A number above 0, or nothing for the usual";
    else if (limit.memory_gb_per_node != null && order.memory_gb_per_node > limit.memory_gb_per_node) found.memory_gb_per_node = `A node has ${number(limit.memory_gb_per_node, 0)} GB`;
  }
  if (order.time_s == null) found.time_s = "Hours and minutes, such as 1:30";
  else if (order.time_s < LEAST_S) found.time_s = "At least 0:01";
  else if (limit.time_s != null && order.time_s > limit.time_s) found.time_s = `At most ${writeTime(limit.time_s)} here`;
  return found;
}

/** "≤ 8", "≤ 24:00": what stands beside the name of a field; "" where nobody says. */
export const upTo = (value, words = count) => (value == null || words(value) === NONE ? "" : `≤ ${words(value)}`);
