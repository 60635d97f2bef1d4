/** An alert in the reader's language, from its facts; as the node worded it, if that is all there is. */
import type { TFunction } from "i18next";
import type { Alert } from "../live/frames";

/** Kinds that name what they are about; the others are about the shop. */
type Named = "quarantine" | "dead_letters" | "drift" | "circuit_open";

type Worded = Pick<Alert, "kind" | "subject" | "text" | "facts">;

export function subjectOf({ kind, subject, facts }: Worded, t: TFunction<"admin">): string {
  if (!facts || subject === "") return subject;
  if (kind === "low_stock") {
    return facts.sale_id == null ? t("alerts.subject.stock", facts) : t("alerts.subject.sale", facts);
  }
  return t(`alerts.subject.${kind as Named}`, { ...facts, defaultValue: subject });
}

export function textOf({ kind, text, facts }: Worded, t: TFunction<"admin">): string {
  return facts ? t(`alerts.text.${kind as Named}`, { ...facts, defaultValue: text }) : text;
}
