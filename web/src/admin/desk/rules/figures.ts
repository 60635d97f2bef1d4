/** Figures as bars, the largest first and each beside the largest; and days of Beijing on a chart. Pure. */

export interface Share {
  name: string;
  amount: number;
  /** Of the largest, 0..=1. */
  share: number;
}

export function shares(amounts: Readonly<Record<string, number>>): Share[] {
  const known = Object.entries(amounts).filter(([, amount]) => amount > 0);
  const largest = Math.max(1, ...known.map(([, amount]) => amount));
  return known
    .sort(([a, m], [b, n]) => n - m || a.localeCompare(b))
    .map(([name, amount]) => ({ name, amount, share: amount / largest }));
}

/** How many days can be looked at. */
export const DAYS = [7, 30, 90] as const;
const DAYS_USUAL = 30;

export function daysOf(text: string | undefined): number {
  return DAYS.find((days) => String(days) === text) ?? DAYS_USUAL;
}

const BEIJING_S = 8 * 3_600;

/** The middle of a day in Beijing, in seconds since 1970. */
export function noonOf(date: string): number {
  return Date.parse(`${date}T12:00:00+08:00`) / 1000;
}

/** `11-21`: the day in Beijing. */
export function shortDay(seconds: number): string {
  return new Date((seconds + BEIJING_S) * 1000).toISOString().slice(5, 10);
}
