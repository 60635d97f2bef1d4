/** From the flash sale to "paid", and everything that may come in between. */
import { expect, test } from "vitest";
import {
  DESK,
  PHONE,
  flash,
  newBuyer,
  newOrder,
  newSale,
  ordersOf,
  pageOf,
  withBrowser,
  visit,
  expectComplaints,
} from "./support";

withBrowser();

/** A notice that the shop did not take comes again, or the shop asks by itself. */
const NOTICE_MS = 90_000;
/** A charge that did not close at once is looked at again. */
const CLOSING_MS = 45_000;

const inWords = {
  zh: { register: "注册", username: "用户名", password: "密码", again: "再输一次密码", cashier: "确认支付" },
  en: {
    register: "Register",
    username: "Username",
    password: "Password",
    again: "Repeat the password",
    cashier: "Pay",
  },
} as const;

test.each([
  { lang: "zh", viewport: PHONE },
  { lang: "en", viewport: DESK },
] as const)(
  "a visitor registers, wins a sale, pays at the cashier and sees it ($lang)",
  { timeout: 180_000 },
  async ({ lang, viewport }) => {
    const { saleId, productId } = await newSale(5);
    const words = inWords[lang];
    const page = await pageOf({ lang, viewport }, flash({ saleId, productId }));
    const sale = page.locator(`#sale-${saleId}`);
    await sale.locator("a.button.primary").click(); // sign in to buy
    await page.getByRole("main").getByRole("link", { name: words.register }).click();
    await page.getByLabel(words.again, { exact: true }).waitFor(); // the sign-in page has a name and a password as well
    const username = `e2e-${lang}-${Date.now()}`;
    await page.getByLabel(words.username, { exact: false }).first().fill(username);
    await page.getByLabel(words.password, { exact: true }).fill("secret-2026");
    await page.getByLabel(words.again, { exact: true }).fill("secret-2026");
    await page.getByRole("button", { name: words.register, exact: true }).click();
    await page.waitForURL("**/flash?product=*#sale-*");

    await sale.getByRole("button", { name: /立即抢购|Buy now/ }).dblclick();
    await sale.getByTestId("claim-ordered").waitFor();
    await sale.getByRole("link", { name: /去支付|Pay now/ }).click();
    await page.getByTestId("charge").waitFor();
    expect(await page.getByRole("img", { name: /支付二维码|QR/ }).count()).toBe(1);

    const [cashier] = await Promise.all([
      page.waitForEvent("popup"),
      page.getByRole("link", { name: /打开收银台|Open the cashier/ }).click(),
    ]);
    await cashier.getByRole("button", { name: words.cashier, exact: true }).click();
    await page.getByTestId("paid").waitFor({ timeout: NOTICE_MS }); // pushed: nobody touched this page
    await page.getByRole("link", { name: /查看订单|View order/ }).click();
    await page
      .getByTestId("timeline")
      .getByText(/支付成功|^Paid$/)
      .waitFor();
  },
);

test("of two browsers that race for the last unit one wins and the other is told", async () => {
  const { saleId, productId } = await newSale(1);
  const racers = await Promise.all([newBuyer(), newBuyer()]);
  const pages = await Promise.all(racers.map((as) => pageOf({ as }, flash({ saleId, productId }))));
  const buttons = pages.map((page) =>
    page.locator(`#sale-${saleId}`).getByRole("button", { name: "立即抢购" }),
  );
  await Promise.all(buttons.map((button) => button.waitFor()));
  // Without a look at the page in between: the push of the other's win takes the button away within half a second.
  const nodes = await Promise.all(
    buttons.map((button) => button.evaluateHandle((node) => node as HTMLButtonElement)),
  );
  await Promise.all(nodes.map((node) => node.evaluate((button) => button.click())));
  const won = await Promise.all(
    pages.map(async (page) => {
      const sale = page.locator(`#sale-${saleId}`);
      const lost = sale.getByTestId("claim-refused").or(sale.getByTestId("claim-failed"));
      const won = sale.getByTestId("claim-ordered");
      // or the push took his button away before his click was heard
      await won
        .or(lost)
        .or(sale.getByText("已抢光", { exact: true }))
        .first()
        .waitFor();
      return (await won.count()) === 1;
    }),
  );
  expect(won.filter(Boolean)).toHaveLength(1);
  const orders = (await Promise.all(racers.map(ordersOf))).flat();
  const alive = orders.filter((order) => order.product_id === productId && order.status === 1);
  expect(alive).toHaveLength(1);
  await pages[0]?.locator(`#sale-${saleId}`).getByText("剩余 0 件").waitFor(); // the stock bar saw it too
});

test("a lost answer and a reload buy one unit, not two", async () => {
  expectComplaints(/ERR_FAILED|Failed to load/);
  const { saleId, productId } = await newSale(5);
  const buyer = await newBuyer();
  const context = await visit({ as: buyer });
  const page = await context.newPage();
  let asked = 0;
  let isReloaded = false;
  const keys = new Set<string | undefined>();
  await page.route("**/api/seckill", async (route) => {
    if (route.request().method() !== "POST") return route.fallback();
    keys.add(route.request().headers()["idempotency-key"]);
    asked += 1;
    if (isReloaded) return route.fallback();
    await route.fetch(); // the server took it …
    return route.abort(); // … and nobody heard the answer
  });
  await page.goto(flash({ saleId, productId }));
  await page.locator(`#sale-${saleId}`).getByRole("button", { name: "立即抢购" }).click();
  await page.locator(`#sale-${saleId}`).getByText("排队中").waitFor();
  await page.reload();
  isReloaded = true;
  await page.locator(`#sale-${saleId}`).getByTestId("claim-ordered").waitFor();
  expect(asked).toBeGreaterThan(1);
  expect(keys.size).toBe(1);
  expect(await ordersOf(buyer)).toHaveLength(1);
});

test("a busy shop is a waiting room, not an error", async () => {
  expectComplaints(/503/);
  const { saleId, productId } = await newSale(5);
  const page = await pageOf({ as: await newBuyer(), lang: "en" });
  let refused = 0;
  await page.route("**/api/seckill", (route) => {
    if (route.request().method() !== "POST" || refused >= 2) return route.fallback();
    refused += 1;
    const json = { code: 60011, message: "busy", data: { retry_after_ms: 700 }, trace_id: "" };
    return route.fulfill({ status: 503, json });
  });
  await page.goto(flash({ saleId, productId }));
  const sale = page.locator(`#sale-${saleId}`);
  await sale.getByRole("button", { name: "Buy now" }).click();
  await sale.getByText("you are waiting").waitFor();
  await sale.getByTestId("claim-ordered").waitFor();
  expect(refused).toBe(2);
});

test("who bought already is led to his order", async () => {
  const { saleId, productId } = await newSale(5);
  const buyer = await newBuyer();
  const first = await pageOf({ as: buyer }, flash({ saleId, productId }));
  await first.locator(`#sale-${saleId}`).getByRole("button", { name: "立即抢购" }).click();
  await first.locator(`#sale-${saleId}`).getByTestId("claim-ordered").waitFor();
  await first.reload(); // forgets that it bought
  await first.locator(`#sale-${saleId}`).getByRole("button", { name: "立即抢购" }).click();
  await first.locator(`#sale-${saleId}`).getByTestId("claim-already").waitFor();
  await first.locator(`#sale-${saleId}`).getByRole("link", { name: "去支付" }).click();
  await first.getByTestId("charge").waitFor();
});

test(
  "changing from WeChat to Alipay closes the first charge and pays by the second",
  { timeout: 180_000 },
  async () => {
    const buyer = await newBuyer();
    const orderNo = await newOrder(buyer);
    const page = await pageOf({ as: buyer, lang: "en" }, `/orders/${orderNo}/pay`);
    await page.getByText("Scan with WeChat").waitFor();
    await page.getByRole("radio", { name: "Alipay" }).check();
    await page.getByText("Scan with Alipay").waitFor({ timeout: CLOSING_MS });
    const [cashier] = await Promise.all([
      page.waitForEvent("popup"),
      page.getByRole("link", { name: /Open the cashier/ }).click(),
    ]);
    await cashier.getByRole("button", { name: "Pay", exact: true }).click();
    await page.getByTestId("paid").waitFor({ timeout: NOTICE_MS });
  },
);

test("simulated payment is done at once, also after a charge was opened", { timeout: 180_000 }, async () => {
  const buyer = await newBuyer();
  const page = await pageOf({ as: buyer, lang: "en" }, `/orders/${await newOrder(buyer)}/pay`);
  await page.getByTestId("charge").waitFor();
  await page.getByRole("radio", { name: /Simulated/ }).check();
  await page.getByRole("button", { name: "Pay now" }).click();
  await page.getByTestId("paid").waitFor({ timeout: CLOSING_MS });
});
