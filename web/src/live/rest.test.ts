import { QueryClient } from "@tanstack/react-query";
import { beforeEach, describe, expect, test } from "vitest";
import { orderKey } from "../api/queries";
import { takeSnapshot, takeStep } from "./LiveOrders";
import { forgetServerTime, noteServerTime, serverNow } from "./clock";
import { inOrder, pageWith, saleAddress, saleStage, wantedOf } from "./sale";

describe("the server's clock", () => {
  beforeEach(forgetServerTime);

  test("is read in the middle of a question", () => {
    noteServerTime("2026-01-01T00:00:10.000Z", 1_000, 1_400);
    expect(serverNow(1_200)).toBe(Date.parse("2026-01-01T00:00:10Z"));
  });

  test("a slower answer does not spoil a quicker one until that is old", () => {
    noteServerTime("2026-01-01T00:00:10Z", 1_000, 1_020);
    const believed = serverNow(5_000);
    noteServerTime("2026-01-01T00:00:20Z", 1_000, 3_000);
    expect(serverNow(5_000)).toBe(believed);
    noteServerTime("2026-01-01T00:10:00Z", 200_000, 202_000);
    expect(serverNow(201_000)).toBe(Date.parse("2026-01-01T00:10:00Z"));
  });

  test("nonsense is not a time", () => {
    noteServerTime("soon", 0, 1);
    noteServerTime("2026-01-01T00:00:00Z", 10, 5);
    expect(serverNow(7)).toBe(7);
  });
});

describe("a sale", () => {
  const sale = { start_at: "2026-01-01T10:00:00Z", end_at: "2026-01-01T11:00:00Z", closed: false, stock: 3 };
  const at = (time: string) => Date.parse(`2026-01-01T${time}Z`);

  test("opens at its first moment and is over at its last", () => {
    expect(saleStage(sale, at("09:59:59"))).toBe("upcoming");
    expect(saleStage(sale, at("10:00:00"))).toBe("open");
    expect(saleStage({ ...sale, stock: 0 }, at("10:30:00"))).toBe("soldOut");
    expect(saleStage(sale, at("11:00:00"))).toBe("over");
    expect(saleStage({ ...sale, closed: true }, at("10:30:00"))).toBe("over");
  });

  test("what can be bought comes first", () => {
    const gone = { ...sale, stock: 0 };
    const later = { ...sale, start_at: "2026-01-01T10:45:00Z" };
    expect(inOrder([gone, later, sale], at("10:30:00"))).toEqual([sale, later, gone]);
  });
});

describe("the list of sales, a page at a time", () => {
  const now = Date.parse("2026-01-01T10:30:00Z");
  const sale = (id: number, product_id: number, changes: object = {}) => ({
    id,
    product_id,
    start_at: "2026-01-01T10:00:00Z",
    end_at: "2026-01-01T11:00:00Z",
    closed: false,
    stock: 3,
    ...changes,
  });
  const later = { start_at: "2026-01-01T10:45:00Z" };

  test("has an address for each sale", () => {
    expect(saleAddress({ id: 3, product_id: 7 })).toBe("/flash?product=7#sale-3");
    expect(saleAddress({ id: 3, product_id: 7 }, 2)).toBe("/flash?product=7&page=2#sale-3");
  });

  test("an address leads to the sale that it names, or to the one that can be bought", () => {
    const own = [sale(4, 7, later), sale(3, 7)];
    expect(wantedOf(own, 7, "#sale-4", now)?.id).toBe(4);
    expect(wantedOf(own, 7, "", now)?.id).toBe(3);
    expect(wantedOf(own, 7, "#sale-9", now)?.id, "one that is over").toBe(3);
    expect(wantedOf(own.slice(2), 7, "#sale-3", now)).toBeUndefined();
  });

  test("a node that does not know of products tells of others, which are not wanted", () => {
    expect(wantedOf([sale(1, 1), sale(3, 7)], 7, "#sale-1", now)?.id).toBe(3);
    expect(wantedOf([sale(1, 1)], 7, "#sale-1", now)).toBeUndefined();
  });

  test("the wanted one is first if it is on another page, and in its place on its own", () => {
    const page = [sale(2, 2, later), sale(1, 1)];
    const ids = (wanted?: (typeof page)[number]) => pageWith(page, wanted, now).map(({ id }) => id);
    expect(ids()).toEqual([1, 2]);
    expect(ids(sale(3, 7, later))).toEqual([3, 1, 2]);
    expect(ids(sale(2, 2, later))).toEqual([1, 2]);
  });
});

describe("pushes", () => {
  const known = { order_no: "A", version: 2, status: 1, status_text: "待支付" };
  const push = { order_no: "A", version: 3, status: 2, event: "payment_captured", at: "", product_id: 1 };

  test("change what is shown at once, and have the rest fetched", () => {
    const client = new QueryClient();
    client.setQueryData(orderKey("A"), known);
    client.setQueryData(["mine", "orders", { page: 1 }], { list: [known, { ...known, order_no: "B" }] });
    takeStep(client, push);
    expect(client.getQueryData(orderKey("A"))).toMatchObject({ status: 2, version: 3 });
    const list = client.getQueryData<{ list: { status: number }[] }>(["mine", "orders", { page: 1 }])?.list;
    expect(list?.map(({ status }) => status)).toEqual([2, 1]);
    expect(client.getQueryState(orderKey("A"))?.isInvalidated).toBe(true);
  });

  test("older ones change nothing", () => {
    const client = new QueryClient();
    client.setQueryData(orderKey("A"), { ...known, version: 4, status: 3 });
    takeStep(client, push);
    expect(client.getQueryData(orderKey("A"))).toMatchObject({ status: 3, version: 4 });
  });

  test("a snapshot has fetched what it knows better", () => {
    const client = new QueryClient();
    client.setQueryData(orderKey("A"), known);
    client.setQueryData(orderKey("B"), { ...known, order_no: "B" });
    takeSnapshot(client, [
      { ...known, version: 5 },
      { ...known, order_no: "B" },
    ] as never);
    expect(client.getQueryState(orderKey("A"))?.isInvalidated).toBe(true);
    expect(client.getQueryState(orderKey("B"))?.isInvalidated).toBe(false);
  });
});
