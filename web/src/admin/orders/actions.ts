/** What an administrator can do with an order as it stands. The server judges again. */
import { fenOf } from "../../lib/money";
import { Status } from "../../lib/orderStatus";
import type { AdminOrder } from "../queries";

/** What the order's actor is told. */
export type OrderWord = "cancel" | "refund" | "clear-review" | "retry" | "resync";

export interface Action {
  word: OrderWord | "ship";
  isGrave?: boolean;
}

type Standing = Pick<AdminOrder, "status" | "needs_review" | "total_price" | "refunds" | "payments" | "owed">;

const PAID: readonly number[] = [Status.Paid, Status.Shipped, Status.Completed, Status.Refunding];
const OPEN: readonly number[] = [Status.Processing, Status.Unpaid];

export function actionsOf(order: Standing): Action[] {
  const actions: Action[] = [];
  if (order.needs_review) actions.push({ word: "clear-review" });
  if (order.status === Status.Paid) actions.push({ word: "ship" });
  if (PAID.includes(order.status) && refundableFen(order) > 0)
    actions.push({ word: "refund", isGrave: true });
  if (OPEN.includes(order.status)) actions.push({ word: "cancel", isGrave: true });
  if (order.payments.some(({ channel }) => channel === "wechat" || channel === "alipay"))
    actions.push({ word: "resync" });
  if (order.owed.length > 0) actions.push({ word: "retry" });
  return actions;
}

/** Fen that no refund of the order's own money has promised yet. */
export function refundableFen({ total_price, refunds }: Pick<AdminOrder, "total_price" | "refunds">): number {
  const promised = refunds
    .filter(({ purpose, state }) => purpose === "order" && state !== "closed")
    .reduce((sum, { amount }) => sum + fenOf(amount), 0);
  return Math.max(0, fenOf(total_price) - promised);
}
