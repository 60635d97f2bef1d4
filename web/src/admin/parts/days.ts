/** Days as the browser's calendar has them, as moments for the API. */

const DAY = /^\d{4}-\d{2}-\d{2}$/;

function moment(day: string, daysLater: number): string | undefined {
  if (!DAY.test(day)) return undefined;
  const at = new Date(`${day}T00:00:00`);
  at.setDate(at.getDate() + daysLater);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** The first moment of a day. */
export function dayStart(day: string | undefined): string | undefined {
  return day === undefined ? undefined : moment(day, 0);
}

/** The first moment after a day. */
export function dayEnd(day: string | undefined): string | undefined {
  return day === undefined ? undefined : moment(day, 1);
}

/** `2026-11-20`, so many days ago in Beijing, where bills are made. */
export function beijingDay(nowMs: number, daysAgo: number): string {
  return new Date(nowMs + 8 * 3_600_000 - daysAgo * 86_400_000).toISOString().slice(0, 10);
}
