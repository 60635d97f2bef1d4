/** Looking around, cart, checkout, orders, the account: what buyers do when nothing is in a hurry. */
import { expect, test } from "vitest";
import {
  PHONE,
  call,
  expectComplaints,
  newBuyer,
  newOrder,
  newProduct,
  ordersOf,
  pageOf,
  payFor,
  withBrowser,
  visit,
} from "./support";

withBrowser();

test("search, category, price, sorting and paging live in the address", async () => {
  const page = await pageOf({ lang: "en" }, "/products");
  await page.getByRole("navigation", { name: "Category" }).getByRole("link", { name: "手机数码" }).click();
  await page.waitForURL("**/products?category=*");
  // drawn, and not only in the address
  await page.locator(".filters [aria-current=true]", { hasText: "手机数码" }).waitFor();
  await page.getByLabel("From").fill("1000");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.waitForURL("**min_price=1000**");
  await page.locator(".filters a[href*='min_price=1000']").first().waitFor();
  await page.getByLabel("Sort by").selectOption("price_asc");
  await page.waitForURL("**sort=price_asc**");
  // the list before stays until the new one is there
  const prices = page.locator(".list-page .tile .price");
  const cheapestFirst = ["¥1,299.00", "¥2,499.00", "¥4,999.00"];
  await expect.poll(() => prices.allInnerTexts()).toEqual(cheapestFirst);
  await page.reload();
  await expect.poll(() => prices.allInnerTexts()).toEqual(cheapestFirst);
  await page.goBack();
  await expect.poll(() => page.getByLabel("Sort by").inputValue()).toBe("default");

  await page.goto("/products");
  await page.getByRole("link", { name: "Next page" }).click();
  await page.waitForURL("**page=2");
  await page.getByText(/^Page 2 of/).waitFor();
  await page.getByRole("search").getByRole("searchbox").fill("机械键盘");
  await page.keyboard.press("Enter");
  await page.getByText("1 product", { exact: true }).waitFor();
  expect(page.url()).not.toContain("page=2");
  await page.getByRole("search").getByRole("searchbox").fill("没有这种东西");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing matches").waitFor();
});

test("a guest fills a cart on a phone, signs in, and it comes with him to the order", async () => {
  const first = await newProduct({ price: 12_345_678.9, stock: 9 });
  const second = await newProduct({ price: 0.01 });
  const buyer = await newBuyer();
  const page = await pageOf({ viewport: PHONE }, `/products/${first.id}`);
  await page.getByRole("button", { name: "加一件" }).click();
  await page.getByRole("button", { name: "加入购物车" }).click();
  await page.getByText("已加入购物车").waitFor();
  await page.goto(`/products/${second.id}`);
  await page.getByRole("button", { name: "立即购买" }).click();
  await page.waitForURL("**/cart");
  await page.locator(".sum").getByText("¥24,691,357.81").waitFor();
  await page
    .getByRole("button", { name: new RegExp(`减一件`) })
    .last()
    .click();
  await page.locator(".sum").getByText("¥12,345,678.91").waitFor();
  await page.getByRole("link", { name: "登录并结算" }).click();
  await page.getByLabel("用户名 / 邮箱 / 手机号").fill(buyer.username);
  await page.getByLabel("密码", { exact: true }).fill(buyer.password);
  await page.getByRole("main").getByRole("button", { name: "登录", exact: true }).click();
  await page.waitForURL("**/checkout");
  expect(await page.getByRole("button", { name: "提交订单" }).isDisabled()).toBe(true);
  await page.getByRole("button", { name: "添加地址" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("收货人").fill("李雷");
  await dialog.getByLabel("手机号码").fill("1");
  await dialog.getByRole("button", { name: "保存" }).click();
  await dialog.getByText("请输入 5 到 20 位的电话号码").waitFor();
  await dialog.getByLabel("手机号码").fill("13800138000");
  await dialog.getByLabel("详细地址").fill("人民路 1 号");
  await dialog.getByRole("button", { name: "保存" }).click();
  await dialog.waitFor({ state: "hidden" });
  await page.getByLabel("订单备注").fill("请轻放");
  await page.getByRole("button", { name: "提交订单" }).dblclick();
  await page.waitForURL("**/orders");
  await page.getByText("¥12,345,678.90").first().waitFor();
  expect(await ordersOf(buyer)).toHaveLength(2);
  await page.goto("/cart");
  await page.getByText("购物车是空的").waitFor();
});

test("a checkout whose answer is lost is not placed twice", async () => {
  expectComplaints(/ERR_FAILED/);
  const buyer = await newBuyer();
  const { id } = await newProduct();
  await call("POST", "/api/cart", buyer.token, { product_id: id, quantity: 1 });
  await call("POST", "/api/user/address", buyer.token, {
    receiver: "李",
    phone: "13800138000",
    detail: "人民路 1 号",
  });
  const page = await pageOf({ as: buyer }, "/checkout");
  let lost = false;
  await page.route("**/api/order/checkout", async (route) => {
    if (lost) return route.fallback();
    lost = true;
    await route.fetch();
    return route.abort();
  });
  await page.getByRole("button", { name: "提交订单" }).click();
  await page.waitForURL("**/pay");
  expect(await ordersOf(buyer)).toHaveLength(1);
});

test("what is gone or short cannot be checked out, and a removal can be undone", async () => {
  const buyer = await newBuyer();
  const product = await newProduct({ stock: 5 });
  const other = await newProduct();
  for (const [id, quantity] of [
    [product.id, 5],
    [other.id, 1],
  ] as const) {
    await call("POST", "/api/cart", buyer.token, { product_id: id, quantity });
  }
  await newOrder(await newBuyer(), product.id);
  const page = await pageOf({ as: buyer, lang: "en" }, "/cart");
  await page.getByText("Only 4 in stock").waitFor();
  expect(await page.getByRole("button", { name: "Check out" }).isDisabled()).toBe(true);
  await page.getByRole("button", { name: `Remove: ${product.name}` }).click();
  await page.getByRole("link", { name: "Check out" }).waitFor();
  await page.getByRole("button", { name: "Remove: " + other.name }).click();
  await page.getByText("Your cart is empty").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("link", { name: other.name }).waitFor();
});

test("an order is cancelled, another refunded in part", async () => {
  const buyer = await newBuyer();
  const [toCancel, toRefund] = [await newOrder(buyer), await newOrder(buyer)];
  await payFor(buyer, toRefund);
  const page = await pageOf({ as: buyer, lang: "en" }, `/orders/${toCancel}`);
  await page.getByRole("button", { name: "Cancel order" }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Cancel order" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel order" }).click();
  await page.getByTestId("order-status").getByText("Cancelled").waitFor();
  await page.getByText("You cancelled it").waitFor();

  await page.goto(`/orders/${toRefund}`);
  await page.getByRole("button", { name: "Ask for a refund" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/Amount/).fill("100.01");
  await dialog.getByRole("button", { name: "Send request" }).click();
  await dialog.getByText("More than can be refunded").waitFor();
  await dialog.getByLabel(/Amount/).fill("40.5");
  await dialog.getByLabel(/Reason/).fill("Does not fit");
  await dialog.getByRole("button", { name: "Send request" }).click();
  await page.getByText("¥40.50").waitFor();
});

test("errors are told in the server's words, in the buyer's language", async () => {
  expectComplaints(/40[01]/);
  const page = await pageOf({ lang: "en" }, "/sign-in");
  await page.getByLabel("Username, email or mobile").fill("nobody");
  await page.getByLabel("Password", { exact: true }).fill("wrong-one");
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
  await page.getByText("wrong name or password").waitFor();
  await page.getByLabel("Language").selectOption("zh");
  await page.getByRole("main").getByRole("button", { name: "登录", exact: true }).click();
  await page.getByText("用户名或密码错误").waitFor();
  expect(await page.locator("html").getAttribute("lang")).toBe("zh-CN");
});

test("profile, addresses, devices and password", async () => {
  const buyer = await newBuyer();
  const page = await pageOf({ as: buyer, lang: "en" }, "/account");
  await page.getByLabel(/Nickname/).fill("Lee");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved").waitFor();

  await page.getByRole("link", { name: "Addresses" }).click();
  await page.getByText("No address yet").waitFor();
  await page.getByRole("button", { name: "Add an address" }).click();
  await page.getByLabel("Name").fill("Lee");
  await page.getByLabel("Phone").fill("13800138000");
  await page.getByLabel("Street and house").fill("1 Long Road");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("1 Long Road").waitFor();
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Street and house").fill("2 Long Road");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("2 Long Road").waitFor();
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("No address yet").waitFor();

  await page
    .getByRole("navigation", { name: "Account settings" })
    .getByRole("link", { name: "Devices" })
    .click();
  await page.getByText("This device").waitFor();
  await call("POST", "/api/user/login", "", { username: buyer.username, password: buyer.password });
  await page.reload();
  await page.getByRole("button", { name: "Sign out", exact: true }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  expect(await page.getByRole("button", { name: "Sign out", exact: true }).count()).toBe(0);

  await page
    .getByRole("navigation", { name: "Account settings" })
    .getByRole("link", { name: "Password" })
    .click();
  await page.getByLabel("Current password").fill(buyer.password);
  await page.getByLabel("New password", { exact: true }).fill("another-2026");
  await page.getByLabel("Repeat the password").fill("another-2026");
  await page.getByRole("main").getByRole("button", { name: "Change password" }).click();
  await page.waitForURL("**/sign-in?next=*");
  await page.getByLabel("Username, email or mobile").fill(buyer.username);
  await page.getByLabel("Password", { exact: true }).fill("another-2026");
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/account/password");
});

test("a shop out of reach is said, and comes back", async () => {
  expectComplaints(/ERR_INTERNET_DISCONNECTED|ERR_FAILED/);
  const context = await visit({ lang: "en" });
  const page = await context.newPage();
  await page.goto("/products");
  await page.locator(".list-page .tile").first().waitFor();
  await context.setOffline(true);
  await page.getByText("You are offline").waitFor();
  await context.setOffline(false);
  await page.getByText("You are offline").waitFor({ state: "hidden" });
});

test("with the keyboard alone: to the sale, to the menu, out", async () => {
  const page = await pageOf({ as: await newBuyer(), lang: "en" });
  await page.locator("main a[href='/flash']").first().waitFor(); // keys pressed into a page that loads go astray
  await page.getByRole("button", { name: "Account menu" }).waitFor();
  await page.keyboard.press("Tab");
  await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to content");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/flash");
  await page.locator("main#content:focus").waitFor(); // a new page is where the reader is
  await page.getByRole("button", { name: "Account menu" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Orders" }).waitFor();
  const focused = page.locator("[role=menuitem]:focus");
  await focused.waitFor();
  const last = async () => {
    await page.keyboard.press("End"); // again, if the menu was still opening
    return focused.textContent();
  };
  await expect.poll(last).toContain("Sign out");
  await page.keyboard.press("Enter");
  await page.getByRole("banner").getByRole("link", { name: "Sign in" }).waitFor();
});
