/** Sums in fen, which are whole numbers; yuan are for showing. */

export function fenOf(yuan: string | number): number {
  return Math.round(Number(yuan) * 100);
}

interface RefundStep {
  event: string;
  detail: unknown;
}

/** Fen that can still be asked back: what was paid without what went back or is on its way. */
export function refundable(order: {
  total_price: number;
  refunded: number;
  timeline: readonly RefundStep[];
}): number {
  const asked = order.timeline
    .filter((step) => step.event === "refund_requested")
    .reduce((sum, step) => sum + amountOf(step.detail), 0);
  return Math.max(0, fenOf(order.total_price) - Math.max(asked, fenOf(order.refunded)));
}

function amountOf(detail: unknown): number {
  const { amount } = detail as { amount?: unknown };
  return typeof amount === "number" ? amount : 0;
}
