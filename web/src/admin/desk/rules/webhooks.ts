/** How a webhook's target stands. Pure. */

/** True if the last thing it was told it did not take. */
export function isFailing({
  last_ok_at,
  last_error_at,
}: {
  last_ok_at?: string | null;
  last_error_at?: string | null;
}): boolean {
  if (!last_error_at) return false;
  return !last_ok_at || Date.parse(last_error_at) >= Date.parse(last_ok_at);
}
