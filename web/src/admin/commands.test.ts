import { describe, expect, test } from "vitest";
import { Status } from "../lib/orderStatus";
import { commandOf, readFields } from "./actors/commands";
import { actionsOf, refundableFen } from "./orders/actions";
import { addressText, readParcel } from "./orders/parcel";
import { beijingDay, dayEnd, dayStart } from "./parts/days";
import type { AdminOrder } from "./queries";

describe("the fields of a command", () => {
  const read = (kind: string, word: Parameters<typeof commandOf>[1], filled: Record<string, string>) =>
    readFields(commandOf(kind, word), (name) => filled[name] ?? "");

  test("that needs none are none, whatever is filled in", () => {
    expect(read("inventory", "pause", { units: "5" })).toEqual({});
    expect(read("session", "tokens", {})).toEqual({});
  });

  test("are whole units, up or down, never none", () => {
    expect(read("inventory", "restock", { units: " -5 ", sale_id: "7" })).toEqual({ units: -5, sale_id: 7 });
    expect(read("inventory", "restock", { units: "5" })).toEqual({ units: 5 });
    for (const units of ["", "0", "1.5", "many"])
      expect(read("inventory", "restock", { units })).toBe("units");
    expect(read("inventory", "restock", { units: "5", sale_id: "-7" })).toBe("sale_id");
  });

  test("have money in yuan, which goes out in fen", () => {
    expect(read("order_saga", "refund", { refund_fee: "19.99", reason: "broken" })).toEqual({
      refund_fee: 1999,
      reason: "broken",
    });
    expect(read("order_saga", "refund", {})).toEqual({}); // all of it
    for (const refund_fee of ["1.234", "-1", "0", "1e3", "123456789"]) {
      expect(read("order_saga", "refund", { refund_fee }), refund_fee).toBe("refund_fee");
    }
  });

  test("say why where a reason is asked for", () => {
    expect(read("order_saga", "clear-review", { reason: "  " })).toBe("reason");
    expect(read("order_saga", "clear-review", { reason: " seen " })).toEqual({ reason: "seen" });
  });

  test("name one device, or none for all of them", () => {
    expect(read("session", "revoke", {})).toEqual({});
    expect(read("session", "revoke", { sid: "s1" })).toEqual({ sid: "s1" });
  });
});

describe("what can be done with an order", () => {
  type Standing = Parameters<typeof actionsOf>[0];
  const order = (changes: object) =>
    ({
      status: Status.Paid,
      needs_review: false,
      total_price: 100,
      refunds: [],
      payments: [],
      owed: [],
      ...changes,
    }) as Standing;
  const refund = (amount: number, state = "accepted", purpose = "order") =>
    ({ amount, state, purpose }) as AdminOrder["refunds"][number];
  const words = (changes: object) => actionsOf(order(changes)).map(({ word }) => word);

  test("depends on how it stands", () => {
    expect(words({ status: Status.Unpaid })).toEqual(["cancel"]);
    expect(words({ status: Status.Processing })).toEqual(["cancel"]);
    expect(words({})).toEqual(["ship", "refund"]);
    expect(words({ status: Status.Shipped })).toEqual(["refund"]);
    expect(words({ status: Status.Refunding })).toEqual(["refund"]);
    for (const status of [Status.Cancelled, Status.Refunded, Status.Failed])
      expect(words({ status })).toEqual([]);
  });

  test("has no refund once all of it is promised", () => {
    expect(words({ refunds: [refund(99.99)] })).toEqual(["ship", "refund"]);
    expect(words({ refunds: [refund(60), refund(40)] })).toEqual(["ship"]);
  });

  test("asks the gateway if there is one, and drives what is owed", () => {
    expect(words({ status: Status.Unpaid, payments: [{ channel: "wechat" }] })).toEqual(["cancel", "resync"]);
    expect(words({ payments: [{ channel: "simulated" }], owed: [{}] })).toEqual(["ship", "refund", "retry"]);
    expect(words({ status: Status.Cancelled, needs_review: true })).toEqual(["clear-review"]);
  });

  test("counts fen, and no refund that was closed or is of a second payment", () => {
    const left = (...refunds: AdminOrder["refunds"]) => refundableFen({ total_price: 29.99, refunds });
    expect(left()).toBe(2999);
    expect(left(refund(0.1), refund(0.2))).toBe(2969);
    expect(left(refund(29.99, "closed"), refund(29.99, "accepted", "duplicate"))).toBe(2999);
    expect(left(refund(30))).toBe(0);
  });
});

describe("a parcel", () => {
  const parcel = (carrier: string, tracking_no: string) =>
    readParcel((name) => ({ carrier, tracking_no })[name]);

  test("has a carrier and a number, without the blanks around them", () => {
    expect(parcel(" 顺丰速运 ", "SF 100 ")).toEqual({ carrier: "顺丰速运", tracking_no: "SF 100" });
    expect(parcel("  ", "SF100")).toBe("carrier");
    expect(parcel("顺丰速运", "")).toBe("tracking_no");
  });

  test("is counted in characters, as the server counts", () => {
    expect(parcel("📦".repeat(50), "1".repeat(50))).toMatchObject({ tracking_no: "1".repeat(50) });
    expect(parcel("📦".repeat(51), "1")).toBe("carrier");
    expect(parcel("DHL", "1".repeat(51))).toBe("tracking_no");
  });

  test("is printable", () => {
    expect(parcel("D\u0007HL", "1")).toBe("carrier");
    expect(parcel("DHL", "1\u0000")).toBe("tracking_no");
    expect(parcel("DHL", "1\t2")).toEqual({ carrier: "DHL", tracking_no: "1\t2" });
  });

  test("goes to an address in one line", () => {
    const address = { receiver: "张三", phone: "13800000000", region: "上海市", detail: "人民路 1 号" };
    expect(addressText(address)).toBe("张三 13800000000 上海市 人民路 1 号");
  });
});

test("days begin and end where the reader is; bills are of days in Beijing", () => {
  const [from = "", to = ""] = [dayStart("2026-11-21"), dayEnd("2026-11-21")];
  expect(new Date(from).getHours()).toBe(0);
  expect(Date.parse(to) - Date.parse(from)).toBe(86_400_000);
  expect([dayStart(undefined), dayStart("yesterday"), dayEnd("2026-13-45")]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(beijingDay(Date.parse("2026-11-20T16:00:00Z"), 0)).toBe("2026-11-21");
  expect(beijingDay(Date.parse("2026-11-20T15:59:59Z"), 1)).toBe("2026-11-19");
});
