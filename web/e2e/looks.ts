/** In which looks pages are seen: both languages, both themes, both widths. */
import { DESK, PHONE } from "./support";

export const LOOKS = [
  { lang: "zh", theme: "light", viewport: PHONE },
  { lang: "en", theme: "dark", viewport: PHONE },
  { lang: "zh", theme: "dark", viewport: DESK },
  { lang: "en", theme: "light", viewport: DESK },
] as const;

/**
 * Main pages are seen in every look. Of the others the first, third and so on are seen in the two Chinese looks, the rest in
 * the two English ones: so each is seen in both themes and at both widths.
 */
export function seenIn(
  look: (typeof LOOKS)[number],
  pages: readonly string[],
  main: readonly RegExp[],
): string[] {
  return pages.filter(
    (path, index) => main.some((one) => one.test(path)) || (index % 2 === 0) === (look.lang === "zh"),
  );
}
