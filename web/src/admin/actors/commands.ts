/** What an administrator can tell actors, and what each command needs (docs/API.md, "Commands to actors"). */

export type Field = "units" | "sale_id" | "sid" | "reason" | "refund_fee";

export interface Command {
  word: string;
  /** Holds something up or loses memory: asked for in red. */
  isGrave?: boolean;
  fields?: readonly Field[];
  /** Fields that may stay empty. */
  optional?: readonly Field[];
}

export const COMMON = [
  { word: "pause" },
  { word: "resume" },
  { word: "restart" },
  { word: "stop", isGrave: true },
  { word: "drain", isGrave: true },
  { word: "quarantine", isGrave: true },
  { word: "lift" },
  { word: "replay" },
] as const satisfies readonly Command[];

const OF_INVENTORY = [
  { word: "restock", fields: ["units", "sale_id"], optional: ["sale_id"] },
  { word: "close-sale", isGrave: true, fields: ["sale_id"], optional: ["sale_id"] },
  { word: "rebuild", isGrave: true },
  { word: "set-sold-out", isGrave: true },
  { word: "clear-sold-out" },
] as const satisfies readonly Command[];

const OF_SESSION = [
  { word: "tokens" },
  { word: "revoke", isGrave: true, fields: ["sid"], optional: ["sid"] },
  { word: "disconnect" },
] as const satisfies readonly Command[];

const OF_ORDER = [
  { word: "retry" },
  { word: "resync" },
  { word: "cancel", isGrave: true },
  { word: "refund", isGrave: true, fields: ["refund_fee", "reason"], optional: ["refund_fee", "reason"] },
  { word: "clear-review", fields: ["reason"] },
] as const satisfies readonly Command[];

export type Word =
  | (typeof COMMON)[number]["word"]
  | (typeof OF_INVENTORY)[number]["word"]
  | (typeof OF_SESSION)[number]["word"]
  | (typeof OF_ORDER)[number]["word"];

type Known = Command & { word: Word };

const OF_KIND: Record<string, readonly Known[]> = {
  inventory: OF_INVENTORY,
  session: OF_SESSION,
  order_saga: OF_ORDER,
};

/** Commands of one kind only. */
export function commandsOf(kind: string): readonly Known[] {
  return OF_KIND[kind] ?? [];
}

export function commandOf(kind: string, word: Word): Known {
  const all: readonly Known[] = [...COMMON, ...commandsOf(kind)];
  return all.find((command) => command.word === word) ?? { word };
}

export const KINDS = ["session", "inventory", "order_saga", "order_writer"] as const;
export const STATES = [
  "running",
  "paused",
  "draining",
  "quarantined",
  "stopped",
  "restarting",
  "starting",
] as const;

export interface Fields {
  units?: number;
  sale_id?: number;
  sid?: string;
  reason?: string;
  refund_fee?: number;
}

/** The field that is missing or makes no sense. */
export type Wrong = Exclude<Field, "sid">;

/** What was filled in, as the API wants it. Money is typed in yuan and sent in fen. */
export function readFields(command: Command, text: (name: Field) => string): Fields | Wrong {
  const fields: Fields = {};
  for (const name of command.fields ?? []) {
    const value = text(name).trim();
    if (value === "") {
      if (command.optional?.includes(name)) continue;
      if (name === "sid") continue;
      return name;
    }
    if (name === "sid" || name === "reason") {
      fields[name] = value;
      continue;
    }
    const number = name === "refund_fee" ? Math.round(Number(value) * 100) : Number(value);
    const isWhole = Number.isSafeInteger(number) && number !== 0;
    const isMoney = name !== "refund_fee" || /^\d{1,8}(\.\d{1,2})?$/.test(value);
    if (!isWhole || !isMoney || (name !== "units" && number < 0)) return name;
    fields[name] = number;
  }
  return fields;
}
