/**
 * One buyer's wish for one unit of a sale, from the click to the order: pure rules, told what happened, saying what to do.
 *
 * A wish has one Idempotency-Key for its whole life. It is sent again while the outcome is unknown (double click, lost
 * answer, "not now", reload), and only a definite answer ends it; so it never becomes two orders.
 */
import { ApiError, Code, isPassing } from "../api/error";

/** In a waiting room: which turn, and how long until it comes. */
export interface Place {
  ticket: string;
  position: number;
  etaMs: number;
}

export type Claim =
  | { phase: "idle" }
  /** Sent, or waiting to be sent again. */
  | { phase: "asking"; key: string; tries: number; againAt: number | null; place?: Place }
  /** Units are taken, the order is being written. */
  | { phase: "queued"; orderNo: string }
  | { phase: "ordered"; orderNo: string }
  /** The promise could not be kept. */
  | { phase: "failed"; orderNo: string; reason: string }
  | { phase: "refused"; code: number; message: string; orderNo: string | null }
  /** Nobody could tell; the key is kept, so that another try asks for the same unit. */
  | { phase: "unknown"; key: string };

export type ClaimEvent =
  | { type: "clicked"; key: string }
  | { type: "answered"; orderNo: string }
  | { type: "error"; error: unknown; now: number }
  | { type: "resend" }
  /** The socket tells how far the place is. */
  | { type: "moved"; state: string; position: number; etaMs: number; now: number }
  | { type: "result"; status: string; reason?: string | null }
  | { type: "dismissed" };

const TRIES_MAX = 12;
const PAUSE_MIN_MS = 300;
const PAUSE_MAX_MS = 5_000;

export const IDLE: Claim = { phase: "idle" };

export function step(claim: Claim, event: ClaimEvent): Claim {
  switch (event.type) {
    case "clicked":
      if (claim.phase === "asking" || claim.phase === "queued" || claim.phase === "ordered") return claim;
      return {
        phase: "asking",
        key: claim.phase === "unknown" ? claim.key : event.key,
        tries: 0,
        againAt: null,
      };
    case "answered":
      return claim.phase === "asking" ? { phase: "queued", orderNo: event.orderNo } : claim;
    case "error":
      return claim.phase === "asking" ? afterError(claim, event.error, event.now) : claim;
    case "resend":
      return claim.phase === "asking" ? { ...claim, againAt: null } : claim;
    case "moved":
      return claim.phase === "asking" ? afterMove(claim, event) : claim;
    case "result":
      return claim.phase === "queued" ? afterResult(claim, event.status, event.reason) : claim;
    case "dismissed":
      return claim.phase === "refused" || claim.phase === "failed" ? IDLE : claim;
  }
}

function afterError(claim: Claim & { phase: "asking" }, error: unknown, now: number): Claim {
  const place = placeOf(error);
  if (place) {
    // Waiting for one's turn is no failure: it goes on for as long as the room says.
    const pause = Math.min((error as ApiError).details.retry_after_ms ?? PAUSE_MAX_MS, PAUSE_MAX_MS);
    return { ...claim, tries: 0, againAt: now + Math.max(pause, PAUSE_MIN_MS), place };
  }
  if (isPassing(error)) {
    const tries = claim.tries + 1;
    if (tries >= TRIES_MAX) return { phase: "unknown", key: claim.key };
    const told = error instanceof ApiError ? error.details.retry_after_ms : undefined;
    const pause = told ?? Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (tries - 1));
    return { ...claim, tries, againAt: now + Math.min(pause, PAUSE_MAX_MS) };
  }
  if (error instanceof ApiError) {
    const { code, message } = error;
    const orderNo = error.details.order_no ?? null;
    if (code === Code.AlreadyBought && orderNo) return { phase: "refused", code, message, orderNo };
    return { phase: "refused", code, message, orderNo: null };
  }
  return { phase: "unknown", key: claim.key };
}

/** Who is told need not ask, unless nothing is told for a while; once there is nothing to wait for he asks at once. */
function afterMove(claim: Claim & { phase: "asking" }, event: ClaimEvent & { type: "moved" }): Claim {
  const { place, againAt } = claim;
  if (!place || againAt === null) return claim; // he asks already
  if (event.state !== "waiting") return { ...claim, againAt: null };
  const { position, etaMs, now } = event;
  return { ...claim, againAt: now + PAUSE_MAX_MS, place: { ...place, position, etaMs } };
}

function placeOf(error: unknown): Place | null {
  if (!(error instanceof ApiError) || error.code !== Code.Waiting) return null;
  const { queue_ticket, position, eta_ms } = error.details;
  return queue_ticket ? { ticket: queue_ticket, position: position ?? 0, etaMs: eta_ms ?? 0 } : null;
}

function afterResult(claim: Claim & { phase: "queued" }, status: string, reason?: string | null): Claim {
  if (status === "created") return { phase: "ordered", orderNo: claim.orderNo };
  if (status === "failed") return { phase: "failed", orderNo: claim.orderNo, reason: reason ?? "" };
  return claim;
}

/** What must survive a reload: a wish without outcome, and the order that came of it. */
export function toStorage(claim: Claim): string | null {
  if (claim.phase === "asking") return JSON.stringify({ key: claim.key, place: claim.place });
  if (claim.phase === "unknown") return JSON.stringify({ key: claim.key });
  if (claim.phase === "queued") return JSON.stringify({ orderNo: claim.orderNo });
  return null;
}

export function fromStorage(text: string | null): Claim {
  if (!text) return IDLE;
  try {
    const stored = JSON.parse(text) as { key?: string; orderNo?: string; place?: Place };
    if (stored.orderNo) return { phase: "queued", orderNo: stored.orderNo };
    if (stored.key) {
      const { key, place } = stored;
      return { phase: "asking", key, tries: 0, againAt: null, ...(place && { place }) };
    }
  } catch {
    // written by somebody else
  }
  return IDLE;
}
