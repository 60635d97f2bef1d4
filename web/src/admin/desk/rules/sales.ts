/** What can be done with a sale when, and what of a changed plan is sent. Pure. */
import type { components } from "../../../api/schema";
import { isoOf, inputOf, momentOf } from "./when";

type Sale = Pick<
  components["schemas"]["SaleJson"],
  "start_at" | "end_at" | "closed" | "stock" | "price" | "per_user_limit"
>;

export type SalePhase = "upcoming" | "open" | "ended" | "closed";

const DAY_MS = 24 * 3_600_000;
/** Longest that a sale may be open. */
export const SALE_MS_MAX = 366 * DAY_MS;

export function phaseOf(sale: Pick<Sale, "start_at" | "end_at" | "closed">, now: number): SalePhase {
  if (sale.closed) return "closed";
  if (now < Date.parse(sale.start_at)) return "upcoming";
  return now < Date.parse(sale.end_at) ? "open" : "ended";
}

export type SaleAction = "change" | "openNow" | "room" | "close";

/** A sale that has ended holds its units until it is closed. */
export function actionsOf(phase: SalePhase): SaleAction[] {
  switch (phase) {
    case "upcoming":
      return ["change", "openNow", "room", "close"];
    case "open":
      return ["change", "room", "close"];
    case "ended":
      return ["change", "close"];
    case "closed":
      return [];
  }
}

export interface SaleForm {
  price: string;
  stock: string;
  start_at: string;
  end_at: string;
  per_user_limit: string;
}

export function formOf(sale: Sale): SaleForm {
  return {
    price: sale.price.toFixed(2),
    stock: String(sale.stock),
    start_at: inputOf(Date.parse(sale.start_at)),
    end_at: inputOf(Date.parse(sale.end_at)),
    per_user_limit: String(sale.per_user_limit),
  };
}

export type WindowProblem = "time" | "endBeforeStart" | "tooLongOpen";

export function windowProblem({
  start_at,
  end_at,
}: Pick<SaleForm, "start_at" | "end_at">): WindowProblem | null {
  const [start, end] = [momentOf(start_at), momentOf(end_at)];
  if (start === null || end === null) return "time";
  if (end <= start) return "endBeforeStart";
  return end - start > SALE_MS_MAX ? "tooLongOpen" : null;
}

export function bodyOf(form: SaleForm) {
  return {
    price: Number(form.price),
    stock: Number(form.stock),
    start_at: isoOf(form.start_at),
    end_at: isoOf(form.end_at),
    per_user_limit: Number(form.per_user_limit),
  };
}

/** Only what was touched in the form: units that were sold while it was open are not put back. */
export function changesOf(form: SaleForm, shown: SaleForm): Partial<ReturnType<typeof bodyOf>> {
  const wanted = bodyOf(form);
  const names = Object.keys(wanted) as (keyof SaleForm)[];
  return Object.fromEntries(
    names.filter((name) => form[name] !== shown[name]).map((name) => [name, wanted[name]]),
  );
}
