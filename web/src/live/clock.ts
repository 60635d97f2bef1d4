/**
 * The server's clock, by which sales open and end. Each answer that tells the time is a sample; the one that was under way
 * for the shortest time is believed, until it is too old to matter.
 */

const BELIEVED_FOR_MS = 120_000;

let offsetMs = 0;
let bestTripMs = Infinity;
let sampledAt = -Infinity;

export function noteServerTime(text: string, sentAt: number, receivedAt = Date.now()): void {
  const server = Date.parse(text);
  const tripMs = receivedAt - sentAt;
  if (Number.isNaN(server) || tripMs < 0) return;
  if (tripMs > bestTripMs && receivedAt - sampledAt < BELIEVED_FOR_MS) return;
  offsetMs = server - (sentAt + receivedAt) / 2;
  bestTripMs = tripMs;
  sampledAt = receivedAt;
}

/** Milliseconds since 1970 by the server's clock. */
export function serverNow(local = Date.now()): number {
  return local + offsetMs;
}

/** For tests. */
export function forgetServerTime(): void {
  offsetMs = 0;
  bestTripMs = Infinity;
  sampledAt = -Infinity;
}
