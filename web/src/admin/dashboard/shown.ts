/** Which figures the dashboard draws, under which names and colours. */
import type { Line } from "./Chart";
import type { Point } from "./history";

/** What a click was told; everything else is a refusal that the buyer could have foreseen. */
export const OUTCOMES = [
  ["accepted", "--good", ["accepted"]],
  ["soldOut", "--ink-2", ["sold_out", "stock_short"]],
  ["already", "--info", ["already_bought", "over_limit"]],
  ["heldUp", "--warn", ["too_frequent"]],
  ["busy", "--bad", ["busy", "unknown"]],
] as const;

export const STEPS = [
  ["placed", "--info", ["order_placed"]],
  ["paid", "--good", ["payment_captured"]],
  ["cancelled", "--warn", ["order_cancelled"]],
  ["failed", "--bad", ["order_failed"]],
] as const;

export function sumOf(values: ReadonlyMap<string, number>, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (values.get(name) ?? 0), 0);
}

type Points = readonly (Point | null)[];

/** The times of all points; a hole stands right behind the point before it. */
export function timesOf(points: Points): number[] {
  let last = 0;
  return points.map((point) => (last = point?.at ?? last + 0.5));
}

export function lineOf(
  points: Points,
  label: string,
  color: string,
  value: (point: Point) => number | null,
  look: Pick<Line, "isDashed" | "isFilled"> = {},
): Line {
  return { label, color, values: points.map((point) => (point ? value(point) : null)), ...look };
}

export function allOf(values: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const value of values.values()) sum += value;
  return sum;
}
