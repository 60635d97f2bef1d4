/** What a sale shows by itself to those who look at it: stock as it goes, a pause, and one's place in a waiting room. */
import { writeFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { afterEach, expect, inject, test } from "vitest";
import { tell } from "./console";
import { administrator } from "./desk";
import {
  DESK,
  PHONE,
  adminToken,
  call,
  expectComplaints,
  flash,
  newBuyer,
  newSale,
  ordersOf,
  pageOf,
  visit,
  withBrowser,
} from "./support";

withBrowser();

/** Buyers a second that are let into each sale; null for no waiting room. */
async function admissions(perSecond: number | null): Promise<void> {
  const room = perSecond === null ? "" : `[waiting_room]\nadmissions_per_second = ${perSecond}\n`;
  writeFileSync(inject("settingsFile"), inject("settings") + room);
  await call("POST", "/api/admin/settings/reload", await adminToken(), {});
}
afterEach(() => admissions(null));

const buy = (token: string, productId: number) =>
  call("POST", "/api/seckill", token, { product_id: productId });

/** Each list of sales is answered once, and then never again: what moves has been pushed. */
async function withoutPolling(page: Page): Promise<void> {
  const asked = new Set<string>();
  await page.route("**/api/seckill?*", (route) => {
    const list = route.request().url();
    if (asked.has(list)) return undefined;
    asked.add(list);
    return route.fallback();
  });
}

test("what others buy moves the stock on every page, by push alone", async () => {
  const { saleId, productId } = await newSale(20);
  const visitor = await visit({ lang: "en" });
  const [sales, product] = [await visitor.newPage(), await visitor.newPage()];
  const sockets: string[] = [];
  for (const page of [sales, product]) {
    page.on("websocket", (socket) => sockets.push(new URL(socket.url()).pathname));
    await withoutPolling(page);
  }
  await sales.goto(flash({ saleId, productId }));
  await product.goto(`/products/${productId}`);
  const bars = [
    sales.locator(`#sale-${saleId}`).getByTestId("stock-left"),
    product.getByRole("region", { name: "Flash sale" }).getByTestId("stock-left"),
  ];
  await Promise.all(bars.map((bar) => bar.getByText("20 left").waitFor()));
  const buyers = await Promise.all(Array.from({ length: 3 }, newBuyer));
  for (const [index, { token }] of buyers.entries()) {
    await buy(token, productId);
    await Promise.all(bars.map((bar) => bar.getByText(`${19 - index} left`).waitFor()));
  }
  expect(sockets.sort()).toEqual(["/ws/stock", "/ws/stock"]);
});

test("without the socket the pages ask by themselves", async () => {
  const { saleId, productId } = await newSale(20);
  const page = await (await visit({ lang: "en" })).newPage();
  await page.routeWebSocket("**/ws/stock", (socket) => socket.close({ code: 1011 }));
  await page.goto(flash({ saleId, productId }));
  const left = page.locator(`#sale-${saleId}`).getByTestId("stock-left");
  await left.getByText("20 left").waitFor();
  await buy((await newBuyer()).token, productId);
  await left.getByText("19 left").waitFor();
});

test("a pause by an administrator is seen before anybody clicks, and so is its end", async () => {
  const { saleId, productId } = await newSale(5);
  const buyer = await newBuyer();
  const [sales, product] = [
    await pageOf({ as: buyer, lang: "en", viewport: PHONE }, flash({ saleId, productId })),
    await pageOf({ lang: "zh" }, `/products/${productId}`),
  ];
  const notes = [
    sales.locator(`#sale-${saleId}`).getByText("Buying is paused for a moment"),
    product.getByRole("region", { name: "限时秒杀" }).getByText("抢购暂停片刻"),
  ];
  const button = sales.locator(`#sale-${saleId}`).getByRole("button", { name: "Buy now" });
  await button.waitFor();
  await product.getByRole("region", { name: "限时秒杀" }).waitFor();
  await buy((await newBuyer()).token, productId); // an actor that nobody needed is in no memory
  await tell("inventory", productId, "pause");
  await Promise.all(notes.map((note) => note.waitFor()));
  await tell("inventory", productId, "resume");
  await Promise.all(notes.map((note) => note.waitFor({ state: "detached" })));
  await button.click();
  await sales.locator(`#sale-${saleId}`).getByTestId("claim-ordered").waitFor();
});

const inWords = {
  zh: { buy: "立即抢购", place: /你排在第 (\d+) 位/, eta: /大约还要 \d+ (秒|分钟)/ },
  en: { buy: "Buy now", place: /you are number (\d+)/, eta: /About \d+ (second|minute)s? to go/ },
} as const;

test.each([
  { lang: "zh", viewport: PHONE },
  { lang: "en", viewport: DESK },
] as const)(
  "in a waiting room the place moves on, outlives a reload, and ends in an order ($lang)",
  { timeout: 120_000 },
  async ({ lang, viewport }) => {
    expectComplaints(/429|503/); // so the room answers, and then this test
    const ahead = 25;
    const [{ saleId, productId }, buyer] = [await newSale(ahead + 5), await newBuyer()];
    const crowd = await Promise.all(Array.from({ length: ahead }, newBuyer));
    const page = await pageOf({ as: buyer, lang, viewport }, flash({ saleId, productId }));
    const words = inWords[lang];
    const sale = page.locator(`#sale-${saleId}`);
    const button = sale.getByRole("button", { name: words.buy });
    await button.waitFor();
    await admissions(1);
    await Promise.all(crowd.map(({ token }) => buy(token, productId).catch(() => undefined)));
    await button.click();
    const room = sale.getByTestId("claim-waiting");
    /** 0 once he is in. */
    const place = async () => Number(words.place.exec((await room.allTextContents()).join())?.[1] ?? 0);
    await room.getByText(words.eta).waitFor();
    const first = await place();
    expect(first).toBeGreaterThan(2);
    expect(await ordersOf(buyer)).toEqual([]);

    await page.reload();
    await room.waitFor();
    const kept = await place();
    expect(kept, "a reload costs no place").toBeLessThanOrEqual(first);
    // He is told, and need not ask: nobody listens to him meanwhile.
    const json = { code: 60011, message: "busy", data: { retry_after_ms: 2_000 }, trace_id: "" };
    await page.route("**/api/seckill", (route) =>
      route.request().method() === "POST" ? route.fulfill({ status: 503, json }) : route.fallback(),
    );
    await expect.poll(place).toBeLessThan(kept - 2);
    await page.unroute("**/api/seckill");

    await sale.getByTestId("claim-ordered").waitFor({ timeout: 60_000 });
    expect(await ordersOf(buyer)).toHaveLength(1);
  },
);

test(
  "a room that an administrator opens for one sale holds its buyers, and lets them in when it closes",
  { timeout: 120_000 },
  async () => {
    expectComplaints(/429/); // so the room answers
    const [{ saleId, productId }, buyer, other] = [await newSale(80), await newBuyer(), await newSale(5)];
    const party = () => Promise.all(Array.from({ length: 30 }, newBuyer));
    const crowd = [...(await party()), ...(await party())];
    const office = await pageOf({ as: await administrator(), lang: "en" }, `/admin/sales/${saleId}`);
    const letIn = async (choice: string, perSecond?: string) => {
      await office.getByRole("button", { name: "Waiting room…" }).click();
      const dialog = office.getByRole("dialog");
      await dialog.getByLabel("Let buyers in").selectOption({ label: choice });
      if (perSecond) await dialog.getByLabel("Let in per second").fill(perSecond);
      await dialog.getByRole("button", { name: "Save" }).click();
      await dialog.waitFor({ state: "detached" });
    };
    await letIn("At a rate of this sale", "1");
    await office.getByTestId("sale-room").getByText("Waiting room open").waitFor();
    await Promise.all(crowd.map(({ token }) => buy(token, productId).catch(() => undefined)));
    await buy(buyer.token, other.productId); // there is no room in front of the others
    await expect
      .poll(async () => Number(await office.getByTestId("sale-waiting").textContent()))
      .toBeGreaterThan(9);

    const page = await pageOf({ as: buyer, lang: "en" }, flash({ saleId, productId }));
    const sale = page.locator(`#sale-${saleId}`);
    await sale.getByRole("button", { name: "Buy now" }).click();
    await sale.getByTestId("claim-waiting").waitFor();
    await letIn("Nobody waits");
    await sale.getByTestId("claim-ordered").waitFor({ timeout: 30_000 }); // long before his turn
  },
);

test("a sale beyond the first page is found from its product, in its place, and after signing in", async () => {
  const others: number[] = [];
  for (let made = 0; made < 21; made += 1) others.push((await newSale(2)).saleId);
  const { saleId, productId } = await newSale(5); // opens last, so it is at the end of the list
  const buyer = await newBuyer();
  const page = await pageOf({ lang: "en", viewport: PHONE }, `/products/${productId}`);
  const onProduct = page.getByRole("region", { name: "Flash sale" });
  await onProduct.getByText("5 left").waitFor();
  await onProduct.getByRole("link", { name: "Go to the sale" }).click();

  await page.waitForURL(`**${flash({ saleId, productId })}`);
  const cards = page.locator("article.sale");
  await expect.poll(() => cards.count()).toBe(21); // a page, and this one before it
  expect(await cards.first().getAttribute("id")).toBe(`sale-${saleId}`);
  await expect.poll(() => isInSight(page, saleId)).toBe(true);

  await page.getByRole("link", { name: "Next page" }).click();
  await page.waitForURL("**/flash?page=2");
  const { total_page } = await call<{ total_page: number }>("GET", "/api/seckill?page_size=20");
  await page.goto(`/flash?page=${total_page}`);
  const card = page.locator(`#sale-${saleId}`);
  await card.getByRole("link", { name: "Sign in to buy" }).click();
  await page.getByLabel("Username, email or mobile").fill(buyer.username);
  await page.getByLabel("Password", { exact: true }).fill(buyer.password);
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`**/flash?product=${productId}&page=${total_page}#sale-${saleId}`);
  await card.getByRole("button", { name: "Buy now" }).waitFor();
  expect(await card.count(), "in its place, not twice").toBe(1);
  await expect.poll(() => isInSight(page, saleId)).toBe(true);
  await card.getByRole("button", { name: "Buy now" }).click();
  await card.getByTestId("claim-ordered").waitFor();

  const token = await adminToken();
  for (const id of [...others, saleId]) await call("DELETE", `/api/seckill/sale/${id}`, token);
});

function isInSight(page: Page, saleId: number): Promise<boolean> {
  return page.locator(`#sale-${saleId}`).evaluate((card) => {
    const { top, bottom } = card.getBoundingClientRect();
    return top < innerHeight && bottom > 0;
  });
}
