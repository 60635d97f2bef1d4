/**
 * Keeps what is shown of orders in step with the server: pushes are written into the remembered answers at once, and what
 * a push does not say (the timeline) is fetched after it. While no pushes come, pages ask by themselves.
 */
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import i18next from "i18next";
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { orderKey, type Order, type OrderDetail } from "../api/queries";
import { useSession } from "../lib/hooks";
import { toast } from "../ui/toasts";
import { Feed, type FeedState, type OrderMoved, type PlaceMoved } from "./feed";

const StateContext = createContext<FeedState>("off");
const FeedContext = createContext<Feed | null>(null);

/** How often pages ask while pushes do not come. */
const POLL_MS = 2_500;

export function useFeedState(): FeedState {
  return useContext(StateContext);
}

/** Has `told` called with every move of the buyer's place in a waiting room; `ticket` null: he has none. */
export function usePlace(productId: number, ticket: string | null, told: (place: PlaceMoved) => void): void {
  const feed = useContext(FeedContext);
  useEffect(() => {
    if (!feed || ticket === null) return;
    return feed.follow(productId, ticket, told);
  }, [feed, productId, ticket, told]);
}

/** `refetchInterval` of a query that pushes keep fresh. */
export function usePollInterval(): number | false {
  return useFeedState() === "live" ? false : POLL_MS;
}

export function LiveOrders({ children }: { children: ReactNode }) {
  const session = useSession();
  const userId = session?.user.id;
  const client = useQueryClient();
  const [state, setState] = useState<FeedState>("off");
  const feed = useMemo(() => {
    if (userId === undefined) return null;
    return new Feed({
      state: setState,
      snapshot: (orders) => takeSnapshot(client, orders),
      moved: (order) => takeStep(client, order),
    });
  }, [userId, client]);
  useEffect(() => {
    feed?.start();
    return () => feed?.stop();
  }, [feed]);
  return (
    <FeedContext value={feed}>
      <StateContext value={state}>{children}</StateContext>
    </FeedContext>
  );
}

/** Refetches what is older than what the server just said. */
export function takeSnapshot(client: QueryClient, orders: readonly Order[]): void {
  for (const order of orders) {
    const known = client.getQueryData<OrderDetail>(orderKey(order.order_no));
    if (known && known.version < order.version) {
      void client.invalidateQueries({ queryKey: orderKey(order.order_no) });
    }
  }
  void client.invalidateQueries({ queryKey: ["mine", "orders"] });
}

export function takeStep(client: QueryClient, moved: OrderMoved): void {
  const change = <T extends Order>(order: T): T =>
    isNews(order, moved) ? { ...order, ...shown(moved) } : order;
  client.setQueryData<OrderDetail>(orderKey(moved.order_no), (known) => known && change(known));
  client.setQueriesData<{ list: Order[] }>({ queryKey: ["mine", "orders"] }, (known) =>
    known ? { ...known, list: known.list.map(change) } : known,
  );
  void client.invalidateQueries({ queryKey: orderKey(moved.order_no) });
  void client.invalidateQueries({ queryKey: ["mine", "orders"] });
  announce(moved);
}

function isNews(order: Order, moved: OrderMoved): boolean {
  return order.order_no === moved.order_no && order.version < moved.version;
}

function shown(moved: OrderMoved): Pick<Order, "status" | "status_text" | "version"> {
  return { status: moved.status, version: moved.version, status_text: statusText(moved.status) };
}

export function statusText(status: number): string {
  return i18next.t(`order.status.${status}` as "order.status.1");
}

const TOLD: readonly string[] = [
  "payment_captured",
  "order_shipped",
  "order_cancelled",
  "order_failed",
  "refund_reported",
];

function announce(moved: OrderMoved): void {
  if (!TOLD.includes(moved.event) || location.pathname.startsWith(`/orders/${moved.order_no}`)) return;
  const text = i18next.t(`order.event.${moved.event}` as "order.event.order_shipped");
  toast(text, { label: i18next.t("flash.viewOrder"), to: `/orders/${moved.order_no}` });
}
