/** From the figures that nodes push to what is drawn: rates from counters, levels from gauges, quantiles from buckets. */
import type { Frames } from "../live/frames";

type MetricsFrame = Frames["metrics"];
type Latency = NonNullable<MetricsFrame["nodes"][number]["latency"]>[number];

export interface Figure {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const KEY = /^(\w+)(?:\{(.*)\})?$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** `name{a="x",b="y"}` taken apart. */
export function figureOf(key: string, value: number): Figure | null {
  const parts = KEY.exec(key);
  if (!parts) return null;
  const labels: Record<string, string> = {};
  for (const [, label, text] of (parts[2] ?? "").matchAll(LABEL)) {
    if (label !== undefined && text !== undefined) labels[label] = text;
  }
  return { name: parts[1] ?? "", labels, value };
}

/** Sums of a counter by one of its labels, over all nodes that answered. */
function sums(frame: MetricsFrame, name: string, label: string): Map<string, Map<string, number>> {
  const byNode = new Map<string, Map<string, number>>();
  for (const { node, metrics } of frame.nodes) {
    const here = new Map<string, number>();
    for (const [key, value] of Object.entries(metrics ?? {})) {
      if (!key.startsWith(name)) continue;
      const figure = figureOf(key, value);
      if (figure?.name !== name) continue;
      const of = figure.labels[label] ?? "";
      here.set(of, (here.get(of) ?? 0) + value);
    }
    byNode.set(node, here);
  }
  return byNode;
}

function seconds(before: MetricsFrame, now: MetricsFrame): number {
  return Math.max(0.2, (Date.parse(now.at) - Date.parse(before.at)) / 1000);
}

/**
 * How much a counter grew per second between two frames, by a label. A node that is new or began anew counts from its
 * next frame on: what it counted before is nothing that happened within this second.
 */
export function rates(
  before: MetricsFrame,
  now: MetricsFrame,
  name: string,
  label: string,
): Map<string, number> {
  const [old, current] = [sums(before, name, label), sums(now, name, label)];
  const grown = new Map<string, number>();
  for (const [node, values] of current) {
    const known = old.get(node);
    if (!known) continue;
    for (const [of, value] of values) {
      const growth = value - (known.get(of) ?? 0);
      grown.set(of, (grown.get(of) ?? 0) + Math.max(0, growth));
    }
  }
  const per = seconds(before, now);
  return new Map([...grown].map(([of, growth]) => [of, growth / per]));
}

/** Gauges of what all nodes share: each node tells the same, so the largest holds. */
export function levels(frame: MetricsFrame, name: string, label: string): Map<string, number> {
  const largest = new Map<string, number>();
  for (const values of sums(frame, name, label).values()) {
    for (const [of, value] of values) largest.set(of, Math.max(largest.get(of) ?? -Infinity, value));
  }
  return largest;
}

/** Of every node its own: the sum. */
export function total(frame: MetricsFrame, name: string): number {
  let sum = 0;
  for (const values of sums(frame, name, "").values()) for (const value of values.values()) sum += value;
  return sum;
}

export interface SaleLevel {
  product: number;
  /** The sale; 0 is the free pool. */
  pool: number;
  units: number;
}

/** What the gate has left of the busiest products. The smallest holds: a node that lags has too many. */
export function unitsLeft(frame: MetricsFrame): SaleLevel[] {
  const found = new Map<string, SaleLevel>();
  for (const { metrics } of frame.nodes) {
    for (const [key, units] of Object.entries(metrics ?? {})) {
      if (!key.startsWith("rushmall_hot_product_units")) continue;
      const { product, pool } = figureOf(key, units)?.labels ?? {};
      const known = found.get(key);
      if (!known || units < known.units)
        found.set(key, { product: Number(product), pool: Number(pool), units });
    }
  }
  return [...found.values()];
}

interface Buckets {
  bounds: readonly number[];
  counts: number[];
}

/** Answers within each bucket between two frames, over all nodes and the given routes. */
export function bucketsBetween(
  before: MetricsFrame,
  now: MetricsFrame,
  isWanted: (route: string) => boolean = () => true,
): Buckets {
  const sum: Buckets = { bounds: [], counts: [] };
  const known = new Map<string, Latency>();
  const name = (node: string, { method, route }: Latency) => `${node} ${method} ${route}`;
  for (const { node, latency } of before.nodes) {
    for (const one of latency ?? []) known.set(name(node, one), one);
  }
  const nodesBefore = new Set(before.nodes.map(({ node }) => node));
  for (const { node, latency } of now.nodes) {
    if (!nodesBefore.has(node)) continue;
    for (const one of latency ?? []) {
      if (!isWanted(one.route)) continue;
      const old = known.get(name(node, one))?.counts ?? [];
      if (sum.counts.length === 0) {
        sum.bounds = one.bounds_s;
        sum.counts = one.counts.map(() => 0);
      }
      one.counts.forEach((count, index) => {
        sum.counts[index] = (sum.counts[index] ?? 0) + Math.max(0, count - (old[index] ?? 0));
      });
    }
  }
  return sum;
}

/**
 * The value (in the bounds' unit) below which the share `q` lies, straight between the bounds of its bucket; the highest
 * bound if it lies beyond; `null` if there was nothing.
 */
export function quantile({ bounds, counts }: Buckets, q: number): number | null {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  const wanted = q * all;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    if (count > 0 && below + count >= wanted) {
      const upper = bounds[index];
      if (upper === undefined) return bounds.at(-1) ?? null;
      const lower = index === 0 ? 0 : (bounds[index - 1] ?? 0);
      return lower + (upper - lower) * ((wanted - below) / count);
    }
    below += count;
  }
  return bounds.at(-1) ?? null;
}
