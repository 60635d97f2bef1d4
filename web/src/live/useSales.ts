/** The flash sales with what is pushed about those that are seen: stock at once, and the list anew when one changes its state. */
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useSyncExternalStore } from "react";
import { sales, salesKey, type SaleFilter } from "../api/queries";
import { StockFeed, hasMoved, withLevel, type Levels } from "./stock";

const feed = new StockFeed();

/** How often the list is asked for while its stock is pushed: terms may have been changed. */
const SELDOM_MS = 8_000;

/** A page of the list; none for `null`. Whoever shows a sale says so with `useStockWhenSeen`. */
export function useSales(filter: SaleFilter | null = {}) {
  const client = useQueryClient();
  const isLive = useSyncExternalStore(feed.onChange, feed.isLive);
  const levels = useSyncExternalStore(feed.onChange, feed.levels);
  const found = useQuery({
    ...sales(filter ?? {}),
    ...(isLive && { refetchInterval: SELDOM_MS }),
    enabled: filter !== null,
    placeholderData: keepPreviousData,
  });
  const known = useRef<Levels>(levels);
  useEffect(() => {
    if (hasMoved(known.current, levels)) void client.invalidateQueries({ queryKey: salesKey });
    known.current = levels;
  }, [levels, client]);
  const list = found.data?.list.map((sale) => withLevel(sale, levels));
  return { ...found, list, isLive };
}

/** For the `ref` of what shows a product's sale: its stock is pushed while that is on the screen. */
export function useStockWhenSeen(productId: number) {
  return useCallback(
    (element: Element | null) => {
      if (!element) return;
      let leave: (() => void) | undefined;
      const observer = new IntersectionObserver((entries) => {
        leave?.();
        leave = entries.at(-1)?.isIntersecting ? feed.watch([productId]) : undefined;
      });
      observer.observe(element);
      return () => {
        observer.disconnect();
        leave?.();
      };
    },
    [productId],
  );
}
