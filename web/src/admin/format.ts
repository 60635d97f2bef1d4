/** Times, durations and counts as an operator reads them. */

/** `2026-11-21 16:23:05`, in the browser's time zone. */
export function stamp(ms: number, lang: string): string {
  const parts = new Intl.DateTimeFormat(lang === "zh" ? "zh-CN" : "en-CA", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  }).formatToParts(new Date(ms));
  const of = (type: Intl.DateTimeFormatPartTypes) => parts.find((part) => part.type === type)?.value ?? "";
  return `${of("year")}-${of("month")}-${of("day")} ${of("hour")}:${of("minute")}:${of("second")}`;
}

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
];

/** `3 minutes ago`. */
export function ago(ms: number, nowMs: number, lang: string): string {
  const past = ms - nowMs;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(past) >= length) ?? ["second", 1_000];
  return new Intl.RelativeTimeFormat(lang, { numeric: "auto" }).format(Math.trunc(past / size), unit);
}

/** `850 µs`, `12.4 ms`, `3.2 s`, `5 min`, `2 h 10 min`, `3 d 4 h`; short, because many stand in a column. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "—";
  if (ms <= 0) return "0";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1_000) return `${figure(ms)} ms`;
  if (ms < 60_000) return `${figure(ms / 1_000)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return join(`${hours} h`, minutes % 60, "min");
  return join(`${Math.floor(hours / 24)} d`, hours % 24, "h");
}

function join(first: string, rest: number, unit: string): string {
  return rest === 0 ? first : `${first} ${rest} ${unit}`;
}

/** Three digits that mean something. */
function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** `1,234` up to 99,999, then `123k`, `1.2M`: for charts and tiles. */
export function compact(value: number, lang: string): string {
  if (Math.abs(value) < 100_000)
    return new Intl.NumberFormat(lang, { maximumFractionDigits: 1 }).format(value);
  return new Intl.NumberFormat(lang, { notation: "compact", maximumFractionDigits: 1 }).format(value);
}
