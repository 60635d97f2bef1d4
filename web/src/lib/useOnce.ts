import { useMutation, type UseMutationOptions } from "@tanstack/react-query";
import { useCallback, useRef } from "react";
import { newIdempotencyKey } from "../api/client";
import { isPassing } from "../api/error";

const TRIES_MAX = 6;

/**
 * A request that makes or moves something of value, under one Idempotency-Key: sent again by itself while the server says
 * "not now" or is not reached, and by the buyer afterwards, without ever doing it twice. A definite answer, or another
 * wish (`sameness` differs), takes a new key.
 */
export function useOnce<TData, TWish>({
  mutationFn,
  sameness = () => "",
  ...options
}: Omit<UseMutationOptions<TData, unknown, TWish>, "mutationFn"> & {
  mutationFn: (key: string, wish: TWish) => Promise<TData>;
  sameness?: (wish: TWish) => string;
}) {
  const held = useRef<{ key: string; wish: string } | null>(null);
  const isBusy = useRef(false);
  const mutation = useMutation<TData, unknown, TWish>({
    ...options,
    retry: (failures, error) => isPassing(error) && failures < TRIES_MAX,
    retryDelay: (failures) => Math.min(4_000, 300 * 2 ** failures),
    mutationFn: async (wish) => {
      const same = sameness(wish);
      if (held.current?.wish !== same) held.current = { key: newIdempotencyKey(), wish: same };
      try {
        const data = await mutationFn(held.current.key, wish);
        held.current = null;
        return data;
      } catch (error) {
        if (!isPassing(error)) held.current = null;
        throw error;
      }
    },
  });
  const { mutate } = mutation;
  /** A second click while the first is under way is the first. */
  const click = useCallback(
    (wish: TWish) => {
      if (isBusy.current) return;
      isBusy.current = true;
      mutate(wish, {
        onSettled: () => {
          isBusy.current = false;
        },
      });
    },
    [mutate],
  );
  return { ...mutation, mutate: click };
}
