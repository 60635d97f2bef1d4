import { describe, expect, test } from "vitest";
import type { Frames } from "../live/frames";
import { bucketsBetween, figureOf, levels, quantile, rates, unitsLeft } from "./figures";
import { History, KEPT } from "./history";

type Node = Frames["metrics"]["nodes"][number];

const at = (second: number) => new Date(Date.UTC(2026, 10, 21, 12, 0, 0) + second * 1000).toISOString();
const frame = (second: number, ...nodes: Node[]): Frames["metrics"] => ({
  type: "metrics",
  at: at(second),
  no_answer: [],
  nodes,
});
const clicks = (node: string, accepted: number, soldOut = 0): Node => ({
  node,
  metrics: {
    'rushmall_seckill_total{outcome="accepted"}': accepted,
    'rushmall_seckill_total{outcome="sold_out"}': soldOut,
    'rushmall_seckill_total_of_others{outcome="accepted"}': 999,
  },
});

describe("figures", () => {
  test("a key is taken apart", () => {
    expect(figureOf('a_total{x="1",y="a b"}', 2)).toEqual({
      name: "a_total",
      labels: { x: "1", y: "a b" },
      value: 2,
    });
    expect(figureOf("plain", 1)).toEqual({ name: "plain", labels: {}, value: 1 });
    expect(figureOf("not a key", 1)).toBeNull();
  });

  test("rates add up the nodes, by label and second", () => {
    const found = rates(
      frame(0, clicks("a", 10, 1), clicks("b", 5)),
      frame(2, clicks("a", 30, 1), clicks("b", 15)),
      "rushmall_seckill_total",
      "outcome",
    );
    expect([...found]).toEqual([
      ["accepted", 15],
      ["sold_out", 0],
    ]);
  });

  test("a node that began anew or came is not counted until its next frame", () => {
    const [before, now] = [frame(0, clicks("a", 1000)), frame(1, clicks("a", 20), clicks("new", 500))];
    expect(rates(before, now, "rushmall_seckill_total", "outcome").get("accepted")).toBe(0);
  });

  test("what nodes share is not added up", () => {
    const lag = (node: string, seconds: number): Node => ({
      node,
      metrics: { 'rushmall_lag_seconds{of="outbox"}': seconds },
    });
    expect(levels(frame(0, lag("a", 2), lag("b", 3)), "rushmall_lag_seconds", "of").get("outbox")).toBe(3);
  });

  test("of units left the smallest figure holds", () => {
    const units = (node: string, left: number): Node => ({
      node,
      metrics: { 'rushmall_hot_product_units{product="7",pool="3"}': left },
    });
    expect(unitsLeft(frame(0, units("a", 12), units("b", 9)))).toEqual([{ product: 7, pool: 3, units: 9 }]);
  });
});

describe("quantiles", () => {
  const timed = (node: string, counts: number[], route = "/api/seckill"): Node => ({
    node,
    metrics: {},
    latency: [{ method: "POST", route, bounds_s: [0.01, 0.1], counts }],
  });

  test("lie between the bounds of their bucket", () => {
    const between = bucketsBetween(
      frame(0, timed("a", [100, 0, 0]), timed("b", [0, 0, 0])),
      frame(1, timed("a", [150, 0, 0]), timed("b", [40, 10, 0])),
    );
    expect(between.counts).toEqual([90, 10, 0]);
    expect(quantile(between, 0.5)).toBeCloseTo(0.01 * (50 / 90));
    expect(quantile(between, 0.99)).toBeCloseTo(0.01 + 0.09 * 0.9);
  });

  test("beyond the last bound are that bound, and of nothing are nothing", () => {
    expect(quantile({ bounds: [0.01, 0.1], counts: [0, 0, 3] }, 0.99)).toBe(0.1);
    expect(quantile({ bounds: [0.01, 0.1], counts: [0, 0, 0] }, 0.5)).toBeNull();
  });

  test("of other routes are left out", () => {
    const [before, now] = [frame(0, timed("a", [0, 0, 0], "/x")), frame(1, timed("a", [5, 0, 0], "/x"))];
    expect(bucketsBetween(before, now, (route) => route === "/api/seckill").counts).toEqual([]);
  });
});

describe("history", () => {
  test("is a point a second, with a hole where nothing was heard", () => {
    const history = new History();
    history.take(frame(0, clicks("a", 0)));
    history.take(frame(1, clicks("a", 7)));
    history.take(frame(1.1, clicks("a", 9))); // an alert came between
    history.take(frame(2, clicks("a", 10)));
    history.take(frame(60, clicks("a", 10_000)));
    history.take(frame(61, clicks("a", 10_005)));
    expect(history.list().map((point) => point?.clicks.get("accepted") ?? null)).toEqual([7, 3, null, 5]);
  });

  test("has the orders that wait for a human once, and nothing of nodes that do not count them", () => {
    const reviews = (node: string, orders: number): Node => ({
      node,
      metrics: { rushmall_orders_in_review: orders },
    });
    const history = new History();
    history.take(frame(0, reviews("a", 0)));
    history.take(frame(1, reviews("a", 0), clicks("old", 1)));
    history.take(frame(2, reviews("a", 3), reviews("b", 3)));
    history.take(frame(3, clicks("old", 1)));
    expect(history.list().map((point) => point?.review)).toEqual([0, 3, null]);
  });

  test("is bounded", () => {
    const history = new History();
    for (let second = 0; second < KEPT + 50; second += 1) history.take(frame(second, clicks("a", second)));
    expect(history.list()).toHaveLength(KEPT);
    expect(history.latest()?.at).toBe(Date.parse(at(KEPT + 49)) / 1000);
  });
});
