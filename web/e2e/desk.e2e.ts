/** The console's catalogue, sales and people: what an administrator does there is seen in the shop, and in the audit log. */
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { expect, inject, test } from "vitest";
import {
  adminToken,
  call,
  expectComplaints,
  newBuyer,
  newOrder,
  newProduct,
  newSale,
  pageOf,
  payFor,
  withBrowser,
  type Buyer,
} from "./support";
import { administrator } from "./desk";

withBrowser();

const office = async (path: string) => pageOf({ as: await administrator(), lang: "en" }, path);

/** The row or card of a table that says this. */
const row = (page: Page, text: string) => page.getByRole("row").filter({ hasText: text });

const inDialog = (page: Page, button: string | RegExp) =>
  page.getByRole("dialog").getByRole("button", { name: button });

const unique = (name: string) => `${name} ${Date.now().toString(36)}`;

/** As `<input type="datetime-local">` takes it, in the browser's zone (Shanghai). */
function input(minutesFromNow: number): string {
  return new Date(Date.now() + (minutesFromNow + 8 * 60) * 60_000).toISOString().slice(0, 19);
}

test("a product is added, changed, taken off the shelf and deleted, and the shop follows", async () => {
  expectComplaints(/404/); // the deleted product, at the end
  const name = unique("Console tea");
  const page = await office("/admin/products");
  await page.getByRole("link", { name: "Add a product" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("An amount above 0").waitFor();
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Price (¥)").fill("12345678.90");
  await page.getByLabel("First units").fill("7");
  await page.getByLabel("Description").fill("Grown by the console.");
  await page.getByLabel("Address of the picture").fill("/photos/tea.svg");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("button", { name: "Add an attribute" }).click();
  await page.getByRole("textbox", { name: "Attribute 1" }).fill("Origin");
  await page.getByRole("textbox", { name: "Value 1" }).fill("Wuyi");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  const id = Number(/products\/(\d+)$/.exec(page.url())?.[1]);

  const shop = await pageOf({ lang: "en" }, `/products/${id}`);
  await shop.getByRole("heading", { name }).waitFor();
  await shop.getByText("¥12,345,678.90").first().waitFor();
  await shop.getByText("Wuyi").waitFor();

  await page.getByLabel("Price (¥)").fill("9.9");
  await page.getByText("Unsaved changes").waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved", { exact: true }).waitFor();
  await shop.reload();
  await shop.getByText("¥9.90").first().waitFor();

  await page.getByLabel("Show it in the shop").uncheck();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Off the shelf", { exact: true }).first().waitFor();
  await shop.goto(`/products?keyword=${encodeURIComponent(name)}`);
  await shop.getByText("Nothing matches").waitFor();

  await page.goto(`/admin/products?keyword=${encodeURIComponent(name)}`);
  await row(page, name).getByText("Off the shelf").waitFor();
  await page.getByRole("link", { name }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await inDialog(page, "Delete").click();
  await page.waitForURL("**/admin/products");
  const gone = await fetch(new URL(`/api/product/${id}`, page.url()));
  expect(gone.status).toBe(404);
});

test("two administrators who change different fields do not undo each other", async () => {
  const product = await newProduct({ name: unique("Shared"), description: "first words", price: 50 });
  const first = await office(`/admin/products/${product.id}`);
  const second = await office(`/admin/products/${product.id}`);
  await first.getByLabel("Price (¥)").fill("60");
  await first.getByRole("button", { name: "Save" }).click();
  await first.getByText("Saved", { exact: true }).waitFor();
  await second.getByLabel("Description").fill("second words");
  await second.getByRole("button", { name: "Save" }).click();
  await second.getByText("Saved", { exact: true }).waitFor();
  const now = await call<{ price: number; description: string; stock: number }>(
    "GET",
    `/api/product/${product.id}`,
  );
  expect([now.price, now.description, now.stock]).toEqual([60, "second words", 50]);
});

test("categories are added, moved and deleted; one with something below it stays", async () => {
  expectComplaints(/400/); // what the deletion that is refused leaves in the browser's console
  const [above, below] = [unique("Drinks"), unique("Teas")];
  const page = await office("/admin/categories");
  const add = async (name: string) => {
    await page.getByLabel("Name").fill(name);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("dialog").waitFor({ state: "hidden" });
  };
  await page.getByRole("button", { name: "Add a category" }).click();
  await add(above);
  await page.getByRole("button", { name: `Add below “${above}”` }).click();
  await add(below);
  await page.getByRole("button", { name: `Delete ${above}` }).click();
  await inDialog(page, "Delete").click();
  await page.getByRole("dialog").getByRole("alert").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: `Edit ${below}` }).click();
  await page.getByRole("dialog").getByLabel("Below").selectOption("0");
  await add(`${below} all`);
  for (const name of [above, `${below} all`]) {
    await page.getByRole("button", { name: `Delete ${name}`, exact: true }).click();
    await inDialog(page, "Delete").click();
    await page.getByRole("dialog").waitFor({ state: "hidden" });
  }
  expect(await page.getByText(above).count()).toBeLessThanOrEqual(1); // the news of its end may still stand
});

test("units are put in, taken out and corrected, each with its place in the history", async () => {
  const product = await newProduct({ name: unique("Counted"), stock: 10 });
  const page = await office(`/admin/stock/${product.id}`);
  const free = page.getByTestId("stock-free");
  await free.getByText("10", { exact: true }).waitFor();
  const move = async (what: string, units: string, reason?: string) => {
    await page.getByRole("button", { name: what, exact: true }).click();
    await page.getByRole("dialog").getByRole("textbox").first().fill(units);
    if (reason)
      await page
        .getByRole("dialog")
        .getByLabel(/Reason/)
        .fill(reason);
    await inDialog(page, what).click();
  };
  await move("Put in", "0");
  await page.getByText("A whole number from 1").waitFor();
  await page.keyboard.press("Escape");
  await move("Put in", "1,005", "a lorry came");
  await free.getByText("1,015", { exact: true }).waitFor();
  await move("Take out", "9999");
  await page.getByRole("dialog").getByRole("alert").waitFor(); // more than there is: none
  await page.keyboard.press("Escape");
  await move("Take out", "15", "broken");
  await free.getByText("1,000", { exact: true }).waitFor();
  await move("Correct", "998");
  await free.getByText("998", { exact: true }).waitFor();
  await row(page, "a lorry came").getByText("+1,005").waitFor();
  await row(page, "broken").getByText("−15").waitFor();
  await row(page, "Corrected").first().getByText("e2e-admin").waitFor();
  const now = await call<{ stock: number }>("GET", `/api/product/${product.id}`);
  expect(now.stock).toBe(998);
});

test("a product declared sold out is refused to buyers until that is taken back", async () => {
  const { id } = await newProduct();
  const buyer = await newBuyer();
  const page = await office(`/admin/stock/${id}`);
  await page.getByRole("button", { name: "Declare sold out" }).click();
  await inDialog(page, "Declare sold out").click();
  await page.getByText("Declared sold out by an administrator since").waitFor();
  await expect(newOrder(buyer, id)).rejects.toThrow("20003");
  await page.getByRole("button", { name: "Clear sold-out flag" }).click();
  await inDialog(page, "Clear sold-out flag").click();
  await page.getByText("Declared sold out by an administrator since").waitFor({ state: "detached" });
  expect(await newOrder(buyer, id)).not.toBe("");
});

test("a sale is planned, opened by hand, bought in and closed, and the shop follows", async () => {
  const product = await newProduct({ name: unique("Flashing"), stock: 30 });
  const page = await office("/admin/sales/new");
  await page.getByRole("searchbox", { name: "Product" }).fill(product.name);
  await page.getByRole("button", { name: product.name }).click();
  await page.getByLabel("Sale price (¥)").fill("9.90");
  await page.getByLabel("Units in the sale").fill("20");
  await page.getByLabel("Start").fill(input(60));
  await page.getByLabel("End").fill(input(30));
  await page.getByRole("button", { name: "Plan a sale" }).click();
  await page.getByText("The end must be after the start").waitFor();
  await page.getByLabel("End").fill(input(120));
  await page.getByRole("button", { name: "Plan a sale" }).click();
  await page.waitForURL(/\/admin\/sales\/\d+$/);
  const phase = page.getByTestId("sale-phase");
  await phase.getByText("Upcoming").waitFor();
  await page.getByText("Preloaded").waitFor();

  const buyer = await newBuyer();
  const shop = await pageOf({ as: buyer, lang: "en" }, `/flash?product=${product.id}`);
  const card = shop.getByRole("article").filter({ hasText: product.name });
  await card.getByRole("button", { name: "Not yet" }).waitFor();

  await page.getByRole("button", { name: "Open now" }).click();
  await inDialog(page, "Open now").click();
  await phase.getByText("Open", { exact: true }).waitFor();
  await card.getByRole("button", { name: "Buy now" }).click();
  await card.getByTestId("claim-ordered").waitFor();
  await page.getByTestId("sale-left").getByText("19", { exact: true }).waitFor();
  await page.getByTestId("sale-held").getByText("1", { exact: true }).waitFor();

  await page.getByRole("button", { name: "Change terms" }).click();
  await page.getByRole("dialog").getByLabel("Sale price (¥)").fill("8.80");
  await inDialog(page, "Save").click();
  await page.getByText("The sale was changed").waitFor();
  await card.getByText("¥8.80").waitFor();

  await page.getByRole("button", { name: "Close the sale" }).click();
  await inDialog(page, "Close the sale").click();
  await phase.getByText("Closed").waitFor();
  await card.waitFor({ state: "detached" });
  const now = await call<{ stock: number }>("GET", `/api/product/${product.id}`);
  expect(now.stock).toBe(29);
  await page.goto(`/admin/sales?state=closed&keyword=${encodeURIComponent(product.name)}`);
  await row(page, product.name).getByText("Closed").waitFor();
});

test("changing another term of a running sale does not bring sold units back", async () => {
  const { productId, saleId } = await newSale(5);
  const page = await office(`/admin/sales/${saleId}`);
  await page.getByRole("button", { name: "Change terms" }).click();
  const buyer = await newBuyer();
  await call("POST", "/api/seckill", buyer.token, { product_id: productId }); // behind the open dialog
  await page.getByRole("dialog").getByLabel("Units per buyer").fill("2");
  await inDialog(page, "Save").click();
  await page.getByText("The sale was changed").waitFor();
  await page.getByTestId("sale-left").getByText("4", { exact: true }).waitFor();
});

test("a user who is shut out is signed out, and let in again signs in", async () => {
  expectComplaints(/401|403/);
  const buyer = await newBuyer();
  const victim = await pageOf({ as: buyer, lang: "en" }, "/orders");
  await victim.getByRole("heading", { level: 1 }).waitFor();
  const page = await office("/admin/users");
  await page.getByLabel("Search").fill(buyer.username);
  await page.waitForURL(/[?&]keyword=/);
  await page.getByRole("link", { name: buyer.username }).click();
  await page.getByTestId("sign-in").waitFor();
  await page.getByRole("button", { name: "Shut out" }).click();
  await inDialog(page, "Shut out").click();
  await page.getByText("Shut out", { exact: true }).first().waitFor();
  await page.getByText("Not signed in anywhere").waitFor();
  await victim.waitForURL("**/sign-in?next=*");
  const form = { username: buyer.username, password: buyer.password };
  await expect(call("POST", "/api/user/login", "", form)).rejects.toThrow();
  await page.getByRole("button", { name: "Let in again" }).click();
  await inDialog(page, "Let in again").click();
  await page.getByText("Active").first().waitFor();
  await call("POST", "/api/user/login", "", form);
});

test("one device of a user is signed out, the other stays", async () => {
  const buyer = await newBuyer();
  const form = { username: buyer.username, password: buyer.password };
  const second = await call<Buyer>("POST", "/api/user/login", "", form);
  const page = await office(`/admin/users/${buyer.user.id}`);
  await expect.poll(() => page.getByTestId("sign-in").count()).toBe(2);
  await page.getByTestId("sign-in").first().getByRole("button", { name: "Sign out" }).click();
  await inDialog(page, "Sign out").click();
  await expect.poll(() => page.getByTestId("sign-in").count()).toBe(1);
  const answers = await Promise.allSettled(
    [buyer.token, second.token].map((token) => call("GET", "/api/user/profile", token)),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

test("the audit log has it all, is searched and taken along", async () => {
  const { productId, saleId } = await newSale(3);
  const token = await adminToken();
  await call("DELETE", `/api/seckill/sale/${saleId}`, token);
  const buyer = await newBuyer();
  await call("PUT", `/api/admin/users/${buyer.user.id}`, token, { status: 0 });
  const page = await office(`/admin/audit-log?target=${encodeURIComponent(`sale ${saleId}`)}`);
  await row(page, "sale.plan").waitFor();
  await row(page, "sale.close").waitFor();
  await page.getByLabel("Target").fill(`user ${buyer.user.id}`);
  await row(page, "user.update").waitFor();
  await row(page, "sale.plan").waitFor({ state: "detached" });
  await row(page, "user.update").getByRole("button").click();
  await page.getByRole("dialog").getByText('"status": 0').waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await page.getByLabel("Target").fill(`product ${productId}`);
  await row(page, "product.create").waitFor();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export as CSV" }).click(),
  ]);
  const text = await readFile(await download.path(), "utf8");
  expect(text).toContain(`product ${productId}`);
  expect(text.trim().split("\n").length).toBe(2); // a head, and the one act
});

test("a picture is uploaded into a product; what is none is refused by its name", async () => {
  expectComplaints(/41[35]|400/);
  const product = await newProduct({ name: unique("Pictured"), image_url: "" });
  const page = await office(`/admin/products/${product.id}`);
  const dot =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const files = page.locator("input[type=file]");
  await files.setInputFiles([
    { name: "dot.png", mimeType: "image/png", buffer: Buffer.from(dot, "base64") },
    { name: "words.png", mimeType: "image/png", buffer: Buffer.from("no picture at all") },
  ]);
  await page.getByText(/words\.png:/).waitFor();
  await page.getByAltText("Picture 1").waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved", { exact: true }).waitFor();
  const now = await call<{ image_url: string }>("GET", `/api/product/${product.id}`);
  expect(now.image_url).toMatch(/^\/uploads\//);
  expect((await fetch(new URL(now.image_url, page.url()))).headers.get("content-type")).toMatch(/^image\//);
});

test("what a day sold is drawn, told as a table, and moves on", async () => {
  const { id, name } = await newProduct({ name: `Best seller ${Date.now()}`, price: 98_765.43 });
  const buyer = await newBuyer();
  await payFor(buyer, await newOrder(buyer, id));
  const today = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 10);
  const page = await office("/admin/statistics");
  await page.locator(".chart canvas").nth(1).waitFor();
  const seller = page.getByRole("table", { name: "Best sellers" }).getByRole("row").filter({ hasText: name });
  await seller.getByText("¥98,765.43").waitFor();
  const days = page.getByRole("table", { name: "Day by day (Beijing)" });
  expect(await days.getAttribute("aria-rowcount")).toBe("31"); // thirty days and their heading
  await row(page, today).waitFor();
  await page.getByLabel("Show", { exact: true }).selectOption({ label: "Last 7 days" });
  await page.waitForURL("**/statistics?days=7");
  await expect.poll(() => days.getAttribute("aria-rowcount")).toBe("8");
});

test("a webhook's target shows what it is told, that it fails and why, and that it is well again", async () => {
  const answers = (status: number) => fetch(inject("warehouse"), { method: "PUT", body: String(status) });
  const sell = async () => {
    const buyer = await newBuyer();
    await payFor(buyer, await newOrder(buyer));
  };
  await answers(204);
  await sell();
  const page = await office("/admin/webhooks");
  const target = page.getByTestId("target-warehouse");
  await target.getByText("order.paid").waitFor();
  await target.getByText(new URL(inject("warehouse")).hostname).waitFor();
  await target.getByText("All delivered").waitFor();
  await target.getByText("Never so far").waitFor({ state: "detached" });
  await answers(503);
  await sell();
  await target.getByText("Tried in vain").waitFor();
  await target.getByText("Last error", { exact: true }).waitFor();
  await target.getByText("HTTP 503").waitFor();
  await answers(204);
  await target.getByText("All delivered").waitFor({ timeout: 30_000 });
  await target.getByText("Last error, over").waitFor();
});

test("settings are found, and read anew on every node", async () => {
  const page = await office("/admin/settings");
  await page.getByLabel("Find a setting").fill("http.port");
  await row(page, "http.port").getByText("Needs a restart").waitFor();
  await page.getByRole("button", { name: "Read settings anew" }).click();
  await inDialog(page, "Read settings anew").click();
  await page.getByRole("dialog").getByText("Nothing changed").waitFor();
});
