/** Runs a buyer's wish (claim.ts): sends it, waits, asks what became of it, and picks it up after a reload. */
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useReducer } from "react";
import { api, dataOf, newIdempotencyKey } from "../api/client";
import { orderKey, salesKey, type OrderDetail } from "../api/queries";
import { Status } from "../lib/orderStatus";
import type { PlaceMoved } from "./feed";
import { usePlace } from "./LiveOrders";
import { IDLE, fromStorage, step, toStorage, type Claim } from "./claim";

const RESULT_EVERY_MS = 700;

function storageKey(userId: number, saleId: number): string {
  return `rushmall.claim.${userId}.${saleId}`;
}

function restored(userId: number | null, saleId: number): Claim {
  return userId === null ? IDLE : fromStorage(sessionStorage.getItem(storageKey(userId, saleId)));
}

/** `userId` null: nobody is signed in, nothing can be wished. The caller remounts when the user changes. */
export function useClaim(userId: number | null, saleId: number, productId: number) {
  const client = useQueryClient();
  const [claim, tell] = useReducer(step, undefined, () => restored(userId, saleId));

  useEffect(() => {
    if (userId === null) return;
    const text = toStorage(claim);
    if (text === null) sessionStorage.removeItem(storageKey(userId, saleId));
    else sessionStorage.setItem(storageKey(userId, saleId), text);
  }, [claim, userId, saleId]);

  const isAsking = claim.phase === "asking";
  const key = isAsking ? claim.key : null;
  const againAt = isAsking ? claim.againAt : null;
  const ticket = isAsking ? (claim.place?.ticket ?? null) : null;
  useEffect(() => {
    if (key === null) return;
    if (againAt !== null) {
      const timer = setTimeout(() => tell({ type: "resend" }), Math.max(0, againAt - Date.now()));
      return () => clearTimeout(timer);
    }
    let isCurrent = true;
    const sent = api.POST("/api/seckill", {
      params: { header: { "Idempotency-Key": key } },
      // Shown with each try: once the turn has come, it opens the door.
      body: { product_id: productId, ...(ticket !== null && { queue_ticket: ticket }) },
    });
    dataOf(sent).then(
      (bought) => {
        if (isCurrent) tell({ type: "answered", orderNo: bought.order_no });
      },
      (error: unknown) => {
        if (isCurrent) tell({ type: "error", error, now: Date.now() });
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [key, againAt, productId, ticket]);

  const placed = useCallback(({ state, position, eta_ms }: PlaceMoved) => {
    tell({ type: "moved", state, position, etaMs: eta_ms, now: Date.now() });
  }, []);
  usePlace(productId, ticket, placed);

  const queuedNo = claim.phase === "queued" ? claim.orderNo : null;
  useEffect(() => {
    if (queuedNo === null) return;
    const ask = async () => {
      try {
        const path = { order_no: queuedNo };
        const result = await dataOf(api.GET("/api/seckill/result/{order_no}", { params: { path } }));
        tell({ type: "result", status: result.status, reason: result.reason ?? null });
      } catch {
        // asked again in a moment
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), RESULT_EVERY_MS);
    // The push may be faster than the next question.
    const watch = client.getQueryCache().subscribe((event) => {
      const orderNo = (event.query.queryKey as readonly unknown[])[2];
      if (orderNo !== queuedNo) return;
      const order = client.getQueryData<OrderDetail>(orderKey(queuedNo));
      if (order?.status === Status.Unpaid) tell({ type: "result", status: "created" });
    });
    return () => {
      clearInterval(timer);
      watch();
    };
  }, [queuedNo, client]);

  useEffect(() => {
    if (claim.phase === "ordered" || claim.phase === "failed") {
      void client.invalidateQueries({ queryKey: ["mine", "orders"] });
      void client.invalidateQueries({ queryKey: salesKey });
    }
  }, [claim.phase, client]);

  const click = useCallback(() => tell({ type: "clicked", key: newIdempotencyKey() }), []);
  const dismiss = useCallback(() => tell({ type: "dismissed" }), []);
  return { claim, click, dismiss };
}
