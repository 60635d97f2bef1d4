/** Money, times and counts as people read them, in the language of the moment. */

const yuan = new Intl.NumberFormat("zh-CN", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** `¥1,299.00`. The API gives yuan with two decimals, far below where floating point loses a fen. */
export function money(amount: number): string {
  return `¥${yuan.format(amount)}`;
}

/** What is saved, in whole percent, never rounded up. */
export function percentOff(price: number, before: number): number {
  if (before <= 0 || price >= before) return 0;
  return Math.floor((1 - price / before) * 100);
}

export function count(number: number, lang: string): string {
  return new Intl.NumberFormat(lang).format(number);
}

export function dateTime(text: string, lang: string): string {
  return new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));
}

export function dateTimeExact(text: string, lang: string): string {
  return new Intl.DateTimeFormat(lang, {
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hour12: false,
  }).format(new Date(text));
}

export interface Remaining {
  days: number;
  hours: number;
  minutes: number;
  seconds: number;
}

/** Whole seconds left, rounded up: zero means over. */
export function remaining(untilMs: number, nowMs: number): Remaining {
  const left = Math.max(0, Math.ceil((untilMs - nowMs) / 1000));
  return {
    days: Math.floor(left / 86_400),
    hours: Math.floor(left / 3_600) % 24,
    minutes: Math.floor(left / 60) % 60,
    seconds: left % 60,
  };
}

export function twoDigits(number: number): string {
  return number.toString().padStart(2, "0");
}

/** `29:07`, or `1:04:09`. */
export function clockText({ days, hours, minutes, seconds }: Remaining): string {
  const allHours = days * 24 + hours;
  const rest = `${twoDigits(minutes)}:${twoDigits(seconds)}`;
  return allHours > 0 ? `${allHours}:${rest}` : rest;
}

/** `Chrome · Linux` of a User-Agent; its beginning if it is none that we know. */
export function deviceName(userAgent: string): string {
  const browsers: readonly (readonly [RegExp, string])[] = [
    [/MicroMessenger/, "WeChat"],
    [/Edg\//, "Edge"],
    [/Firefox\//, "Firefox"],
    [/(Chrome|CriOS|HeadlessChrome)\//, "Chrome"],
    [/Safari\//, "Safari"],
  ];
  const systems: readonly (readonly [RegExp, string])[] = [
    [/iPhone|iPad/, "iOS"],
    [/Android/, "Android"],
    [/Windows/, "Windows"],
    [/Mac OS X/, "macOS"],
    [/Linux/, "Linux"],
  ];
  const named = (list: typeof browsers) => list.find(([pattern]) => pattern.test(userAgent))?.[1];
  const name = [named(browsers), named(systems)].filter(Boolean).join(" · ");
  return name || userAgent.slice(0, 60);
}
