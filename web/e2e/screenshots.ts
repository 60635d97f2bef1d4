import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { beforeEach, test } from "vitest";
import {
  DESK,
  PHONE,
  adminToken,
  call,
  expectComplaints,
  newBuyer,
  newOrder,
  newProduct,
  newSale,
  payFor,
  withBrowser,
  visit,
  type Buyer,
} from "./support";

const target = process.env.SCREENSHOTS ?? join(import.meta.dirname, "../../docs/screenshots");
/** Everything in every look, to be looked at; else only what the documentation shows. */
const isEverything = process.env.SCREENSHOTS !== undefined;

withBrowser();
beforeEach(() => expectComplaints(/404/)); // a page that is not there is shown as well

async function furnish() {
  const buyer = await newBuyer();
  const rivals = await Promise.all(Array.from({ length: 6 }, newBuyer));
  for (const [index, rival] of rivals.entries()) {
    await call("POST", "/api/seckill", rival.token, { product_id: 1 + (index % 4) });
  }
  const bought = await call<{ order_no: string }>("POST", "/api/seckill", buyer.token, { product_id: 1 });
  for (const id of [5, 12, 20])
    await call("POST", "/api/cart", buyer.token, { product_id: id, quantity: 1 + (id % 3) });
  await call("POST", "/api/user/address", buyer.token, {
    receiver: "李雷",
    phone: "13800138000",
    region: "上海市 徐汇区",
    detail: "衡山路 880 弄 12 号 301 室",
    is_default: true,
  });
  await call("POST", "/api/user/address", buyer.token, {
    receiver: "韩梅梅",
    phone: "13900139000",
    detail: "中山路 1 号",
  });
  const unpaid = await newOrder(buyer, 7);
  const shipped = await newOrder(buyer, 9);
  await payFor(buyer, shipped);
  await call("POST", `/api/order/${shipped}/ship`, await adminToken(), {
    carrier: "顺丰速运",
    tracking_no: "SF1029384756",
  });
  const paid = await newOrder(buyer, 15);
  await payFor(buyer, paid);
  const cancelled = await newOrder(buyer, 18);
  await call("POST", `/api/order/${cancelled}/cancel`, buyer.token);
  return { buyer, unpaid, shipped, paid, sale: bought.order_no };
}

async function long(buyer: Buyer): Promise<number> {
  const product = await newProduct({
    name: "超长名称的商品会怎样显示在各个页面上呢这里有四十个字左右看看换行与省略 UnbreakableProductNameWithoutAnySpacesAtAll",
    price: 12_345_678.9,
    stock: 3,
  });
  await call("POST", "/api/cart", buyer.token, { product_id: product.id, quantity: 2 });
  await newOrder(buyer, product.id);
  await newSale(99_999, {
    name: "八位数价格的秒杀商品名称也可以非常非常长长长长长长长长长长",
    price: 98_765_432.1,
  });
  return product.id;
}

const slug = (text: string) => text.replace(/[^\w]+/g, "-").replace(/^-|-$/g, "") || "home";

async function shoot(page: Page, name: string, isWhole: boolean): Promise<void> {
  await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
  if (page.url().endsWith("/pay")) await page.getByTestId("charge").or(page.getByTestId("paid")).waitFor();
  await page.waitForLoadState("networkidle", { timeout: 1_500 }).catch(() => undefined);
  await page.screenshot({ path: join(target, `${name}.jpg`), type: "jpeg", quality: 82, fullPage: isWhole });
}

test("screenshots", async () => {
  mkdirSync(target, { recursive: true });
  const { buyer, unpaid, shipped, paid, sale } = await furnish();
  if (!isEverything) {
    const chosen = [
      ["home", "/", { viewport: DESK, lang: "zh", theme: "light" }],
      ["flash", "/flash", { viewport: DESK, lang: "zh", theme: "light" }],
      ["products", "/products", { viewport: DESK, lang: "en", theme: "dark" }],
      ["order", `/orders/${shipped}`, { viewport: DESK, lang: "zh", theme: "light" }],
      ["pay-phone", `/orders/${sale}/pay`, { viewport: PHONE, lang: "zh", theme: "light" }],
      ["flash-phone", "/flash", { viewport: PHONE, lang: "en", theme: "dark" }],
      ["cart-phone", "/cart", { viewport: PHONE, lang: "zh", theme: "light" }],
    ] as const;
    for (const [name, path, look] of chosen) {
      const page = await (await visit({ ...look, as: buyer })).newPage();
      await page.goto(path);
      await shoot(page, name, false);
    }
    return;
  }
  const id = await long(buyer);
  const guest = ["/", "/flash", "/cart", "/sign-in", "/register", "/products?keyword=zzz", "/nowhere"];
  const own = ["/", "/products", `/products/${id}`, "/products/1", "/flash", "/cart", "/checkout", "/orders"];
  const more = [`/orders/${shipped}`, `/orders/${paid}`, `/orders/${unpaid}/pay`, `/orders/${paid}/pay`];
  const account = [
    "/account/profile",
    "/account/addresses",
    "/account/password",
    "/account/devices",
    "/orders?status=4",
  ];
  const looks = [
    { lang: "zh", theme: "light", viewport: PHONE },
    { lang: "en", theme: "dark", viewport: PHONE },
    { lang: "en", theme: "light", viewport: DESK },
    { lang: "zh", theme: "dark", viewport: DESK },
  ] as const;
  for (const look of looks) {
    const of = `${look.viewport.width}-${look.lang}-${look.theme}`;
    const visitor = await (await visit(look)).newPage();
    for (const path of guest) {
      await visitor.goto(path, { waitUntil: "load" });
      await shoot(visitor, `${of}-guest-${slug(path)}`, true);
    }
    const page = await (await visit({ ...look, as: buyer })).newPage();
    for (const path of [...own, ...more, ...account]) {
      await page.goto(path);
      await shoot(
        page,
        `${of}-${slug(path).replace(/01[0-9A-Z]{24}/, path.includes(paid) ? "paid" : "order")}`,
        true,
      );
    }
  }
});
