import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { adminEn } from "./admin.en";
import { adminZh } from "./admin.zh";
import { deskEn } from "./desk.en";
import { deskZh } from "./desk.zh";
import { en } from "./en";
import { zh } from "./zh";

const SOURCES = join(import.meta.dirname, "..");

/** `a.b.c` and the text. */
function texts(all: object, path = ""): [string, string][] {
  return Object.entries(all).flatMap(([name, text]: [string, unknown]) =>
    typeof text === "string"
      ? [[path + name, text] as [string, string]]
      : texts(text as object, `${path}${name}.`),
  );
}

/** `count` may be left out where it is one: "told once". */
function blanks(all: object): [string, string][] {
  return texts(all).map(([key, text]) => {
    const named = [...text.matchAll(/\{\{([\w, ]+)\}\}/g)].map(([, blank = ""]) => blank);
    const told = key.endsWith("_one") ? named.filter((blank) => !blank.startsWith("count")) : named;
    return [key, told.sort().join()];
  });
}

interface Source {
  /** Below src/. */
  path: string;
  code: string;
}

const sources: Source[] = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.tsx?$/.test(path) && !/^i18n\/|\.test\.tsx?$|schema\.d\.ts$/.test(path))
  .map((path) => ({ path, code: readFileSync(join(SOURCES, path), "utf8") }));

/** What these sources may ask for: whole keys, and patterns of keys that are put together. */
function asked(from: readonly Source[]): { keys: Set<string>; patterns: RegExp[] } {
  const code = from.map((source) => source.code).join("\n");
  const keys = new Set([...code.matchAll(/["'`]([\w.-]+)["'`]/g)].map(([, key = ""]) => key));
  const patterns = [...code.matchAll(/`(\w+\.[\w.-]*\$\{[^`]*)`/g)]
    .map(([, template = ""]) => template.split(/\$\{[^}]*\}/))
    .filter((parts) => parts.every((part) => /^[\w.-]*$/.test(part)))
    .map((parts) => new RegExp(`^${parts.map((part) => part.replace(/\./g, "\\.")).join("[\\w-]+")}$`));
  return { keys, patterns };
}

const isOfConsole = ({ path }: Source) => path.startsWith("admin/");

describe.each([
  ["shop", zh, en, (source: Source) => !isOfConsole(source) || source.code.includes("useTranslation()")],
  ["console", adminZh, adminEn, isOfConsole],
  ["desk", deskZh, deskEn, ({ path }: Source) => path.startsWith("admin/desk/")],
] as const)("the texts of the %s", (_, chinese, english, isTheirs) => {
  test("are the same in both languages, with the same blanks", () => {
    expect(blanks(english)).toEqual(blanks(chinese));
  });

  test("are all shown somewhere", () => {
    const { keys, patterns } = asked(sources.filter(isTheirs));
    const unused = texts(chinese)
      .map(([key]) => key.replace(/_(one|other)$/, ""))
      .filter((key) => !keys.has(key) && !patterns.some((pattern) => pattern.test(key)));
    expect(unused).toEqual([]);
  });

  test("say something", () => {
    for (const [key, text] of [...texts(chinese), ...texts(english)]) expect(text.trim(), key).not.toBe("");
  });
});
