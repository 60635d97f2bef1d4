import { describe, expect, test } from "vitest";
import { changed, hasFilters, productOf, readFilter } from "./filters";
import { clockText, deviceName, money, percentOff, remaining } from "./format";
import { nextPath, rules } from "./forms";
import { fenOf, refundable } from "./money";
import { canBePaid, isClosing, openChannel } from "./orderStatus";
import { codeName, wayToPay } from "./pay";

describe("money", () => {
  test("has two decimals and thousands", () => {
    expect(money(0)).toBe("¥0.00");
    expect(money(12_345_678.9)).toBe("¥12,345,678.90");
  });
  test("is exact in fen", () => {
    for (const [yuan, fen] of [
      ["0.29", 29],
      ["19.99", 1999],
      ["1.1", 110],
      ["99999999.99", 9_999_999_999],
    ] as const) {
      expect(fenOf(yuan)).toBe(fen);
    }
  });
  test("a discount is never overstated", () => {
    expect(percentOff(2999, 4999)).toBe(40);
    expect(percentOff(1, 1)).toBe(0);
    expect(percentOff(5, 0)).toBe(0);
    expect(percentOff(0.01, 100)).toBe(99);
  });
  test("only what is left can be refunded", () => {
    const order = { total_price: 29.99, refunded: 0, timeline: [] };
    expect(refundable(order)).toBe(2999);
    const asked = { event: "refund_requested", detail: { amount: 1000 } };
    expect(refundable({ ...order, timeline: [asked] })).toBe(1999);
    expect(refundable({ ...order, refunded: 10, timeline: [asked] })).toBe(1999);
  });
});

describe("time left", () => {
  test("counts to the last second", () => {
    expect(remaining(90_061_000, 0)).toEqual({ days: 1, hours: 1, minutes: 1, seconds: 1 });
    expect(remaining(1, 0).seconds).toBe(1);
    expect(remaining(0, 5)).toEqual({ days: 0, hours: 0, minutes: 0, seconds: 0 });
  });
  test("reads like a clock", () => {
    expect(clockText(remaining(1_747_000, 0))).toBe("29:07");
    expect(clockText(remaining(90_061_000, 0))).toBe("25:01:01");
  });
});

describe("filters in the address", () => {
  const of = (query: string) => readFilter(new URLSearchParams(query));
  test("a product is a number above zero", () => {
    const product = (text: string) => productOf(new URLSearchParams({ product: text }));
    expect(["7", "", "0", "-7", "1.5", "tea", "99999999999999999999"].map(product)).toEqual([
      7,
      ...Array<undefined>(6).fill(undefined),
    ]);
    expect(productOf(new URLSearchParams())).toBeUndefined();
  });
  test("what cannot be is left out", () => {
    expect(of("")).toEqual({ page: 1 });
    expect(of("page=0&category=x&min_price=1.234&sort=best")).toEqual({ page: 1 });
    expect(of("page=3&category=2&keyword=%20tea%20&min_price=1.5&max_price=20&sort=price_asc")).toEqual({
      page: 3,
      category: "2",
      keyword: "tea",
      min_price: 1.5,
      max_price: 20,
      sort: "price_asc",
    });
  });
  test("any change leads to the first page, and keeps the rest", () => {
    const params = new URLSearchParams("page=3&keyword=tea");
    expect(changed(params, { sort: "sales" })).toBe("?keyword=tea&sort=sales");
    expect(changed(params, { page: "4" })).toBe("?page=4&keyword=tea");
    expect(changed(params, { keyword: null })).toBe("?");
  });
  test("paging and sorting are no filters", () => {
    expect(hasFilters(of("page=2&sort=sales"))).toBe(false);
    expect(hasFilters(of("max_price=5"))).toBe(true);
  });
});

describe("paying", () => {
  test("a code's name is found in every provider's shape", () => {
    expect(codeName("weixin://wxpay/bizpayurl?pr=rPLDuGe0fln3si5zqg2QTQ")).toBe("rPLDuGe0fln3si5zqg2QTQ");
    expect(codeName("https://qr.alipay.com/a_b-C")).toBe("a_b-C");
  });
  test("the sandbox is paid at its cashier, real gateways by their own codes", () => {
    const charge = { code_url: "weixin://wxpay/bizpayurl?pr=X", pay_url: "" };
    const cashier = "http://shop/sandbox/cashier/X";
    expect(wayToPay(charge, "/sandbox", "http://shop", "zh")).toEqual({ qr: cashier, link: cashier });
    expect(wayToPay(charge, "/sandbox", "http://shop", "en").link).toBe(`${cashier}?lang=en`);
    expect(wayToPay(charge, null, "http://shop", "zh")).toEqual({ qr: charge.code_url, link: "" });
    const alipay = { code_url: "https://qr.alipay.com/X", pay_url: "" };
    expect(wayToPay(alipay, null, "http://shop", "zh").link).toBe(alipay.code_url);
  });
  test("an order is payable until its deadline, unless it is closing", () => {
    const order = { status: 1, pay_deadline: "2026-01-01T00:00:00Z" };
    const deadline = Date.parse(order.pay_deadline);
    expect(canBePaid(order, deadline - 1)).toBe(true);
    expect(canBePaid(order, deadline)).toBe(false);
    expect(canBePaid({ ...order, status: 2 }, 0)).toBe(false);
    const step = (event: string, detail: unknown = {}) => ({ event, detail });
    expect(isClosing([step("order_placed"), step("closing_started")])).toBe(true);
    expect(isClosing([step("closing_started"), step("order_cancelled")])).toBe(false);
    expect(openChannel([step("payment_started", { channel: "alipay" })])).toBe("alipay");
    expect(
      openChannel([step("payment_started", { channel: "wechat" }), step("payment_attempt_closed")]),
    ).toBe(undefined);
  });
});

describe("forms", () => {
  test("after signing in one stays in the shop", () => {
    const to = (next: string) => nextPath(new URLSearchParams({ next }));
    expect(to("/orders?page=2")).toBe("/orders?page=2");
    for (const foreign of [
      "//evil.example",
      "https://evil.example",
      "/\\evil.example",
      "javascript:alert(1)",
      "",
    ]) {
      expect(to(foreign), foreign).toBe("/");
    }
  });
  test("passwords are measured in bytes, as the server does", () => {
    const fits = (text: string) => rules.newPassword.safeParse(text).success;
    expect([fits("12345"), fits("123456"), fits("密".repeat(24)), fits("密".repeat(25))]).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
});

test("devices are told apart", () => {
  const chrome =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36";
  expect(deviceName(chrome)).toBe("Chrome · Linux");
  expect(deviceName("curl/8.0")).toBe("curl/8.0");
});
