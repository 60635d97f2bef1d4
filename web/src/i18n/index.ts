/** Chinese and English; only the language in use is loaded, and the texts of a part that loads later come with it. */
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { speak } from "../api/client";
import type { adminZh } from "./admin.zh";
import type { deskZh } from "./desk.zh";
import type { zh } from "./zh";

export type Lang = "zh" | "en";

/** What every language must say: the same keys as the Chinese texts. */
export type SameKeys<T> = { [K in keyof T]: T[K] extends string ? string : SameKeys<T[K]> };
export type Texts = SameKeys<typeof zh>;

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof zh; admin: typeof adminZh; desk: typeof deskZh };
  }
}

const KEY = "rushmall.lang";

export function preferredLang(): Lang {
  let chosen: string | null = null;
  try {
    chosen = localStorage.getItem(KEY);
  } catch {
    // the browser's language holds
  }
  return (chosen ?? navigator.language).toLowerCase().startsWith("zh") ? "zh" : "en";
}

type LoadTexts = (lang: Lang) => Promise<object>;

/** What is loaded again in another language. */
const parts = new Map<string, LoadTexts>([
  ["translation", async (lang) => (lang === "zh" ? (await import("./zh")).zh : (await import("./en")).en)],
]);

async function loadPart(namespace: string, load: LoadTexts, lang: Lang): Promise<void> {
  i18next.addResourceBundle(lang, namespace, await load(lang));
}

let begin: () => void = () => undefined;
/** The router wants the texts of the first page before any are there. */
const begun = new Promise<void>((resolve) => {
  begin = resolve;
});

/** Has the texts of a part there before it is drawn. */
export async function addTexts(namespace: string, load: LoadTexts): Promise<void> {
  parts.set(namespace, load);
  await begun;
  await loadPart(namespace, load, i18next.language as Lang);
}

function apply(lang: Lang): void {
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  speak(lang === "zh" ? "zh-CN,zh;q=0.9" : "en");
}

export async function startI18n(lang: Lang = preferredLang()): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: lang,
    resources: {},
    interpolation: { escapeValue: false }, // React does
    returnNull: false,
  });
  begin();
  await Promise.all([...parts].map(([namespace, load]) => loadPart(namespace, load, lang)));
  apply(lang);
}

export async function chooseLang(lang: Lang): Promise<void> {
  try {
    localStorage.setItem(KEY, lang);
  } catch {
    // holds for this page only
  }
  await Promise.all([...parts].map(([namespace, load]) => loadPart(namespace, load, lang)));
  apply(lang);
  await i18next.changeLanguage(lang);
}
