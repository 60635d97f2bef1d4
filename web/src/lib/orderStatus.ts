/** The states of an order, as the API numbers them. */
import type { Order } from "../api/queries";

export const Status = {
  Processing: 0,
  Unpaid: 1,
  Paid: 2,
  Shipped: 3,
  Completed: 4,
  Cancelled: 5,
  Refunding: 6,
  Refunded: 7,
  Failed: 8,
} as const;

/** Closing orders look unpaid to old clients; they cannot be paid any more. */
export function canBePaid(order: Pick<Order, "status" | "pay_deadline">, now: number): boolean {
  if (order.status !== Status.Unpaid) return false;
  return order.pay_deadline == null || now < Date.parse(order.pay_deadline);
}

interface Step {
  event: string;
  detail: unknown;
}

/** True while the gateway is asked to end the payment of an order that was cancelled or came too late. */
export function isClosing(timeline: readonly Step[]): boolean {
  const last = timeline.findLast(({ event }) => event === "closing_started" || event === "order_cancelled");
  return last?.event === "closing_started";
}

/** The gateway of the charge that is under way, if one is. */
export function openChannel(timeline: readonly Step[]): "wechat" | "alipay" | undefined {
  const last = timeline.findLast(({ event }) =>
    ["payment_started", "payment_attempt_closed"].includes(event),
  );
  if (last?.event !== "payment_started") return undefined;
  const { channel } = last.detail as { channel?: unknown };
  return channel === "wechat" || channel === "alipay" ? channel : undefined;
}
