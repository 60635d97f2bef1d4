/** How an order's state looks, wherever it is shown. */
import type { Order } from "../api/queries";
import { Status } from "../lib/orderStatus";

const TONES: Record<number, string> = {
  [Status.Processing]: "info",
  [Status.Unpaid]: "warn",
  [Status.Paid]: "good",
  [Status.Shipped]: "info",
  [Status.Completed]: "good",
  [Status.Refunding]: "warn",
  [Status.Failed]: "bad",
};

export function StatusTag({ order }: { order: Pick<Order, "status" | "status_text"> }) {
  return (
    <span className={`tag ${TONES[order.status] ?? ""}`} data-testid="order-status">
      {capital(order.status_text)}
    </span>
  );
}

/** The API's English words stand in the middle of sentences; here they stand alone. */
function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
