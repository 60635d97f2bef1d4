/** Pictures of the console's pages in every look, to be looked at (`SCREENSHOTS=dir`); else those of the documentation. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { beforeEach, test } from "vitest";
import { consolePages } from "./console";
import { administrator } from "./desk";
import {
  DESK,
  PHONE,
  adminToken,
  call,
  expectComplaints,
  newBuyer,
  newSale,
  payFor,
  visit,
  withBrowser,
} from "./support";

const everything = process.env.SCREENSHOTS;
const target = everything ?? join(import.meta.dirname, "../../docs/screenshots");
/** Who buys while the dashboard is watched, so that the charts have something to show, and how far apart. */
const BUYERS = 24;
const CLICK_EVERY_MS = 400;

/** More want a unit than there are. */
async function crowd(): Promise<() => Promise<void>> {
  const { productId } = await newSale(BUYERS - 6, { name: "武夷岩茶 大红袍 礼盒" });
  const buyers = await Promise.all(Array.from({ length: BUYERS }, newBuyer));
  return async () => {
    for (const { token } of buyers) {
      await call("POST", "/api/seckill", token, { product_id: productId }).catch(() => undefined); // sold out
      await new Promise((resolve) => setTimeout(resolve, CLICK_EVERY_MS));
    }
  };
}

withBrowser();
beforeEach(() => expectComplaints(/404/)); // an actor that is in no memory

/** For the documentation: the dashboard in a sale, and pages of the console with something on them. */
async function shown(): Promise<
  (readonly [name: string, path: string, ready?: (page: Page) => Promise<void>])[]
> {
  const { saleId } = await newSale(60, { name: "西湖龙井 明前特级 250g" });
  const room = { admissions_per_second: 1 };
  await call("PUT", `/api/admin/sales/${saleId}/waiting-room`, await adminToken(), room);
  const buyer = await newBuyer();
  const address = await call<{ id: number }>("POST", "/api/user/address", buyer.token, {
    receiver: "李雷",
    phone: "13800138000",
    region: "上海市 徐汇区",
    detail: "衡山路 880 弄 12 号 301 室",
    is_default: true,
  });
  const wanted = { product_id: 9, address_id: address.id };
  const { order_no: paid } = await call<{ order_no: string }>("POST", "/api/order", buyer.token, wanted);
  await payFor(buyer, paid);
  return [
    ["console", "/admin", async () => (await crowd())()],
    ["console-actors", "/admin/actors"],
    ["console-ship", `/admin/orders/${paid}`, askToShip],
    ["console-room", `/admin/sales/${saleId}`],
    ["console-statistics", "/admin/statistics"],
    ["console-webhooks", "/admin/webhooks"],
  ];
}

async function askToShip(page: Page): Promise<void> {
  await page.getByRole("button", { name: "发货" }).click();
  await page.getByRole("dialog").getByLabel("快递公司").fill("顺丰速运");
  await page.getByRole("dialog").getByLabel("快递单号").fill("SF1029384756");
}

async function settled(page: Page): Promise<void> {
  await page.locator("main :is(h1, h2):visible").first().waitFor();
  await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
}

test.runIf(!everything)(
  "screenshots of the console for the documentation",
  { timeout: 300_000 },
  async () => {
    await consolePages();
    const look = { lang: "zh", theme: "light", viewport: DESK } as const;
    const page = await (await visit({ ...look, as: await administrator() })).newPage();
    for (const [name, path, ready] of await shown()) {
      await page.goto(path);
      await settled(page);
      await ready?.(page);
      await page.waitForTimeout(700);
      await page.screenshot({ path: join(target, `${name}.jpg`), type: "jpeg", quality: 82 });
    }
  },
);

test.runIf(everything)("screenshots of the console", { timeout: 300_000 }, async () => {
  mkdirSync(target, { recursive: true });
  const pages = await consolePages();
  const looks = [
    { lang: "zh", theme: "light", viewport: PHONE },
    { lang: "en", theme: "dark", viewport: PHONE },
    { lang: "en", theme: "light", viewport: DESK },
    { lang: "zh", theme: "dark", viewport: DESK },
  ] as const;
  for (const look of looks) {
    const page = await (await visit({ ...look, as: await administrator() })).newPage();
    for (const [index, path] of pages.entries()) {
      await page.goto(path);
      await settled(page);
      if (path === "/admin") await (await crowd())();
      await page.waitForTimeout(700);
      const of = `${look.viewport.width}-${look.lang}-${look.theme}-console-${index}-`;
      const name = of + path.replace(/\W+/g, "-").slice(0, 40);
      await page.screenshot({ path: join(target, `${name}.jpg`), type: "jpeg", quality: 82, fullPage: true });
    }
    const [paid = ""] = pages.filter((path) => /orders\/\w+$/.test(path));
    await page.goto(paid);
    await page.getByRole("button", { name: /^(发货|Ship)$/ }).click();
    await page.screenshot({
      path: join(target, `${look.viewport.width}-${look.lang}-${look.theme}-console-ship.jpg`),
      type: "jpeg",
      quality: 82,
    });
  }
});
