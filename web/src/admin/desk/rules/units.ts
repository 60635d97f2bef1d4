/** Whole units as they are typed; thousands may be set apart. */
import { UNITS_MAX } from "./catalogue";

/** `null` if it is no number of units from `least` on that the shop can keep. */
export function unitsOf(text: string, least: number): number | null {
  const digits = text.trim().replace(/[,，\s]/g, "");
  if (!/^\d{1,9}$/.test(digits)) return null;
  const units = Number(digits);
  return units >= least && units <= UNITS_MAX ? units : null;
}
