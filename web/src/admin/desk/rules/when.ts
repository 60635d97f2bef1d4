/** Moments as `<input type="datetime-local">` has them: in the browser's zone, to the second. */

const two = (number: number) => number.toString().padStart(2, "0");

export function inputOf(ms: number): string {
  const at = new Date(ms);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `null` if it is no moment. */
export function momentOf(input: string): number | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?$/.test(input)) return null;
  const ms = new Date(input).getTime();
  return Number.isNaN(ms) ? null : ms;
}

export function isoOf(input: string): string {
  const ms = momentOf(input);
  return ms === null ? "" : new Date(ms).toISOString();
}

/** The next full hour. */
export function nextHour(ms: number): number {
  const at = new Date(ms);
  at.setMinutes(60, 0, 0);
  return at.getTime();
}
