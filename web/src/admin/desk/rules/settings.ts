/** The settings of a node, which the description calls any JSON, as what they are. Pure. */

export interface Setting {
  key: string;
  /** As the file would write it; secrets masked. */
  value: string;
  /** `default`, a file, a variable or a flag. */
  origin: string;
  /** A running server takes over another value. */
  live: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

const text = (fields: Fields, name: string): string => {
  const value = fields[name];
  return typeof value === "string" ? value : JSON.stringify(value ?? "");
};

export function settingsOf(told: readonly Fields[]): Setting[] {
  return told.map((fields) => ({
    key: text(fields, "key"),
    value: text(fields, "value"),
    origin: text(fields, "origin"),
    live: fields.live === true,
  }));
}

export function matching(settings: readonly Setting[], search: string, isLiveOnly: boolean): Setting[] {
  const wanted = search.trim().toLowerCase();
  return settings.filter(
    ({ key, value, live }) =>
      (!isLiveOnly || live) && (key.toLowerCase().includes(wanted) || value.toLowerCase().includes(wanted)),
  );
}

export function changesOf(told: readonly Fields[]): { key: string; from: string; to: string }[] {
  return told.map((fields) => ({
    key: text(fields, "key"),
    from: text(fields, "from"),
    to: text(fields, "to"),
  }));
}

const OUTCOMES = ["applied", "unchanged", "refused", "no_answer"] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** A word that a later release says and this page does not know is no success. */
export function outcomeOf(told: string): Outcome {
  return OUTCOMES.find((known) => known === told) ?? "refused";
}
