/**
 * The last minutes of the shop, a point a second, made from the frames as they come. It outlives the page that draws it, so
 * that looking elsewhere for a moment costs no history.
 */
import type { Frames } from "../live/frames";
import { bucketsBetween, levels, quantile, rates, total, unitsLeft, type SaleLevel } from "./figures";

type MetricsFrame = Frames["metrics"];

/** Seconds that are kept. */
export const KEPT = 300;
/** Quantiles are those of the last seconds: of a single one a few slow answers would say too much. */
const QUANTILE_OVER = 5;
/** A pause longer than this is drawn as a hole. */
const HOLE_MS = 4_000;

export interface Point {
  /** Seconds since 1970, as charts want it. */
  at: number;
  /** Clicks a second by outcome. */
  clicks: Map<string, number>;
  /** Steps of orders a second by event. */
  steps: Map<string, number>;
  /** Milliseconds; null if nobody bought. */
  p50: number | null;
  p99: number | null;
  queue: number;
  outbox: number;
  /** Age in seconds of what is due and not done, by what it is. */
  lags: Map<string, number>;
  /** Orders that somebody waits for, by state. */
  orders: Map<string, number>;
  /** Orders that wait for a human; null if no node counts them, being of an older release. */
  review: number | null;
  sockets: number;
  units: SaleLevel[];
}

export class History {
  private points: (Point | null)[] = [];
  private frames: MetricsFrame[] = [];
  private readonly watchers = new Set<() => void>();

  /** Newest last; null is a hole. */
  list(): readonly (Point | null)[] {
    return this.points;
  }

  latest(): Point | undefined {
    return this.points.at(-1) ?? undefined;
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  take(frame: MetricsFrame): void {
    const before = this.frames.at(-1);
    const at = Date.parse(frame.at);
    // News of alerts come between the seconds and bring the figures along.
    if (before && at - Date.parse(before.at) < 500) return;
    if (before && at - Date.parse(before.at) > HOLE_MS) {
      this.frames = [];
      this.points.push(null);
    }
    const last = this.frames.at(-1);
    if (last) this.points.push(pointOf(this.frames, last, frame));
    this.frames = [...this.frames, frame].slice(-QUANTILE_OVER);
    this.points = this.points.slice(-KEPT);
    this.watchers.forEach((watcher) => watcher());
  }
}

function pointOf(frames: readonly MetricsFrame[], before: MetricsFrame, now: MetricsFrame): Point {
  const buckets = bucketsBetween(frames[0] ?? before, now);
  const inMs = (q: number) => {
    const seconds = quantile(buckets, q);
    return seconds === null ? null : seconds * 1000;
  };
  return {
    at: Date.parse(now.at) / 1000,
    clicks: rates(before, now, "rushmall_seckill_total", "outcome"),
    steps: rates(before, now, "rushmall_order_events_total", "event"),
    p50: inMs(0.5),
    p99: inMs(0.99),
    queue: levels(now, "rushmall_order_queue_depth", "").get("") ?? 0,
    outbox: levels(now, "rushmall_outbox_rows", "").get("") ?? 0,
    lags: levels(now, "rushmall_lag_seconds", "of"),
    orders: levels(now, "rushmall_orders", "status"),
    review: levels(now, "rushmall_orders_in_review", "").get("") ?? null,
    sockets: total(now, "rushmall_websockets"),
    units: unitsLeft(now),
  };
}
