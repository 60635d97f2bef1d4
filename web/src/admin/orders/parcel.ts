/** The parcel of an order, by the server's own rule: two texts that are printable and not too long. */
import type { components } from "../../api/schema";
import type { AdminOrder } from "../queries";

export type Parcel = components["schemas"]["ShipOrder"];
export type ParcelField = keyof Parcel;

/** Characters, as the server counts them: one for an emoji, too. */
export const PARCEL_TEXT_MAX = 50;

const CONTROL = /[^\P{Cc}\n\t]/u;

/** The parcel as it is sent, or the first field that is missing or cannot be. */
export function readParcel(text: (name: ParcelField) => string): Parcel | ParcelField {
  const parcel = { carrier: text("carrier").trim(), tracking_no: text("tracking_no").trim() };
  const fits = (value: string) =>
    value !== "" && Array.from(value).length <= PARCEL_TEXT_MAX && !CONTROL.test(value);
  if (!fits(parcel.carrier)) return "carrier";
  return fits(parcel.tracking_no) ? parcel : "tracking_no";
}

/** Where it goes, in one line. */
export function addressText({ receiver, phone, region, detail }: NonNullable<AdminOrder["address"]>): string {
  return [receiver, phone, region, detail].join(" ");
}
