/** The console's flows: live dashboard, commands with each node's answer, orders and refunds, dead letters, and who may come in. */
import { expect, test } from "vitest";
import { deadLetter, tell } from "./console";
import { administrator } from "./desk";
import {
  PHONE,
  adminToken,
  call,
  expectComplaints,
  flash,
  newBuyer,
  newOrder,
  newSale,
  ordersOf,
  pageOf,
  payFor,
  withBrowser,
} from "./support";

withBrowser();

const asAdmin = async (path: string) => pageOf({ as: await administrator(), lang: "en" }, path);

test("whoever is no administrator is shown the door", async () => {
  const guest = await pageOf({ lang: "en" }, "/admin/orders");
  await guest.getByRole("heading", { name: "Sign in" }).waitFor();
  expect(new URL(guest.url()).searchParams.get("next")).toBe("/admin/orders");
  const buyer = await pageOf({ as: await newBuyer(), lang: "en" }, "/admin/orders");
  await buyer.getByText("The console is for administrators").waitFor();
  expect(await buyer.getByRole("navigation", { name: "Console" }).count()).toBe(0);
});

test("every section is in the navigation and opens", async () => {
  const page = await asAdmin("/admin");
  const links = page.getByRole("navigation", { name: "Console" }).getByRole("link");
  await links.first().waitFor();
  const paths = await links.evaluateAll((all) => all.map((link) => link.getAttribute("href") ?? ""));
  expect(paths.filter((path) => path.startsWith("/admin"))).toHaveLength(17);
  await links.filter({ hasText: "Audit log" }).click();
  await page.getByRole("heading", { name: "Audit log", level: 1 }).waitFor();
});

test("the dashboard moves by itself while people buy", async () => {
  const { saleId, productId } = await newSale(30);
  const page = await asAdmin("/admin");
  await page.getByTestId("live-mark").getByText("Live").waitFor();
  const sale = page.getByTestId(`sale-now-${saleId}`);
  await sale.getByText("30 of 30 left").waitFor();
  const buyers = await Promise.all(Array.from({ length: 4 }, newBuyer));
  for (const buyer of buyers) await call("POST", "/api/seckill", buyer.token, { product_id: productId });
  await sale.getByText("26 of 30 left").waitFor();
  const legend = page
    .locator("figure", { hasText: "Time to answer a purchase" })
    .locator(".chart-key")
    .first();
  const whileBuying = async () => {
    // refused, and timed like any other: the figure is that of the last five seconds
    await call("POST", "/api/seckill", buyers[0]?.token, { product_id: productId }).catch(() => undefined);
    return legend.textContent();
  };
  await expect.poll(whileBuying, { timeout: 15_000, interval: 500 }).toMatch(/p50\d/);
});

test("a paused product answers buyers again once it is resumed, and the shop page tells them", async () => {
  const { saleId, productId, name } = await newSale(3);
  const buyer = await newBuyer();
  const page = await asAdmin("/admin");
  const shop = await pageOf({ as: buyer, lang: "en" }, flash({ saleId, productId }));
  expectComplaints(/503|409|429/); // "busy" is what this is about
  await page.getByRole("button", { name: `Pause ${name}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await page.getByTestId("result-node-0").getByText("1 reached").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  const card = shop.locator(`#sale-${saleId}`);
  await card
    .getByRole("button", { name: /buy|grab/i })
    .first()
    .click();
  await card.getByTestId("claim-asking").waitFor();
  await page.getByRole("button", { name: `Resume ${name}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await page.getByTestId("result-node-0").getByText("1 reached").waitFor();
  await card.getByTestId("claim-ordered").waitFor({ timeout: 40_000 });
  const own = (await ordersOf(buyer)).filter((order) => order.product_id === productId);
  expect(own, "held back, not lost and not doubled").toHaveLength(1);
});

test("a command to one actor is answered node by node, and seen in its vital signs", async () => {
  const { productId } = await newSale(3);
  const page = await asAdmin(`/admin/actors/inventory/${productId}`);
  await page.getByRole("button", { name: "Quarantine" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("kept down until it is lifted").waitFor();
  await dialog.getByRole("button", { name: "Quarantine" }).click();
  await dialog.getByTestId("result-node-0").getByText("1 reached").waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.locator("main").getByText("Quarantined").first().waitFor();
  await page.goto(`/admin/actors?kind=inventory&state=quarantined`);
  await page
    .getByRole("link", { name: `inventory ${productId}`, exact: true })
    .first()
    .waitFor();
  await page.goto("/admin/alerts");
  await page
    .getByRole("link", { name: new RegExp(`inventory ${productId} on`) })
    .first()
    .waitFor();
  await tell("inventory", productId, "lift");
  await page
    .getByRole("link", { name: new RegExp(`inventory ${productId} on`) })
    .first()
    .waitFor();
});

test("an order is found, refunded with a reason, and its journal holds", async () => {
  const buyer = await newBuyer();
  const orderNo = await newOrder(buyer);
  await payFor(buyer, orderNo);
  const page = await asAdmin("/admin/orders");
  await page.getByLabel("Order number").fill(orderNo.slice(0, 22).toLowerCase());
  await page.waitForURL(/[?&]order_no=/);
  await page.getByRole("link", { name: orderNo }).click();
  await page.getByText("Hashes are intact").waitFor();
  await page.getByRole("button", { name: "Refund" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Refund" }).click();
  await dialog.getByText("Please say why").waitFor();
  await dialog.getByLabel(/Amount/).fill("100.01");
  await dialog.getByLabel("Reason").fill("broken in the parcel");
  await dialog.getByRole("button", { name: "Refund" }).click();
  await dialog.getByText("At most ¥100.00 can still go back.").waitFor();
  await dialog.getByLabel(/Amount/).fill("40.5");
  await dialog.getByRole("button", { name: "Refund" }).click();
  await page.getByRole("table", { name: "Refunds" }).getByText("broken in the parcel").waitFor();
  await page.getByText("Hashes are intact").waitFor();
  await page.goto("/admin/payments/refunds?order_no=" + orderNo);
  await page.getByRole("table").getByText("¥40.50").waitFor();
  const acts = await call<{ list: { action: string; target: string }[] }>(
    "GET",
    "/api/admin/audit-log?action=order.refund",
    await adminToken(),
  );
  expect(acts.list.filter(({ target }) => target.includes(orderNo))).toHaveLength(1);
});

test("an order is shipped once, the buyer sees the parcel by push and confirms that he has it", async () => {
  expectComplaints(/ERR_FAILED|Failed to load/);
  const buyer = await newBuyer();
  const orderNo = await newOrder(buyer);
  await payFor(buyer, orderNo);
  const shop = await pageOf({ as: buyer, lang: "zh", viewport: PHONE }, `/orders/${orderNo}`);
  await shop.getByText("实时更新中").waitFor(); // from now on it does not ask by itself
  const page = await asAdmin(`/admin/orders/${orderNo}`);
  const keys: (string | undefined)[] = [];
  await page.route("**/ship", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    if (keys.length > 1) return route.fallback();
    await route.fetch(); // the server took it …
    return route.abort(); // … and nobody heard the answer
  });
  await page.getByRole("button", { name: "Ship" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Ship" }).click();
  await dialog.getByText("Please name the carrier").waitFor();
  await dialog.getByLabel("Carrier").fill("顺丰速运");
  await dialog.getByLabel("Tracking number").fill("9".repeat(51));
  await dialog.getByRole("button", { name: "Ship" }).click();
  await dialog.getByText("at most 50 characters.").waitFor();
  expect(keys, "what cannot be is not sent").toEqual([]);
  await dialog.getByLabel("Tracking number").fill(" SF1234567890 ");
  await dialog.getByRole("button", { name: "Ship" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("Shipped: 顺丰速运 SF1234567890").waitFor();
  await page.getByRole("button", { name: "SF1234567890" }).waitFor();
  expect(await page.getByRole("button", { name: "Ship", exact: true }).count()).toBe(0);
  expect(keys).toHaveLength(2);
  expect(new Set(keys).size, "one wish has one key").toBe(1);

  await shop.getByTestId("order-status").getByText("已发货").waitFor();
  await shop.getByText("SF1234567890").waitFor();
  await shop.getByRole("button", { name: "确认收货" }).click();
  await shop.getByRole("dialog").getByRole("button", { name: "确认收货" }).click();
  await shop.getByTestId("order-status").getByText("已完成").waitFor();
  await page.locator("main").getByText("Completed").first().waitFor();
  const acts = await call<{ list: { target: string }[] }>(
    "GET",
    "/api/admin/audit-log?action=order.ship",
    await adminToken(),
  );
  expect(acts.list.filter(({ target }) => target.includes(orderNo))).toHaveLength(1);
});

test(
  "a dead letter is replayed: the buyer who was not answered has an order",
  { timeout: 120_000 },
  async () => {
    const { productId, buyer } = await deadLetter();
    const page = await asAdmin(`/admin/dead?kind=inventory&key=${productId}`);
    await page
      .getByRole("cell", { name: `inventory ${productId}` })
      .first()
      .waitFor();
    await tell("inventory", productId, "restart");
    await tell("inventory", productId, "resume"); // an order to hold it outlives its life
    await page
      .getByRole("button", { name: new RegExp(`Replay inventory ${productId} #`) })
      .first()
      .click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Replay" }).click();
    await dialog.getByTestId("result-node-0").getByText("1 reached").waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await page.getByText("Nothing was given up").waitFor();
    await expect.poll(async () => (await ordersOf(buyer)).length, { timeout: 10_000 }).toBe(1);
  },
);

test("a day is compared, and its run shows what came of it", async () => {
  const page = await asAdmin("/admin/reconciliation");
  await page.getByRole("button", { name: "Compare a day" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Day (Beijing)").fill("2999-01-01");
  await dialog.getByRole("button", { name: "Compare" }).click();
  await dialog.getByText("Choose a day that is over in Beijing.").last().waitFor();
  const yesterday = new Date(Date.now() + 8 * 3_600_000 - 86_400_000).toISOString().slice(0, 10);
  await dialog.getByLabel("Day (Beijing)").fill(yesterday);
  await dialog.getByRole("button", { name: "Compare" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("link", { name: yesterday }).first().click();
  await page.getByRole("heading", { name: new RegExp(`Run (wechat|alipay)-${yesterday}`) }).waitFor();
});
