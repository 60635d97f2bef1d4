/** The console's own pages: axe finds nothing, nothing is wider than the window, in each look of looks.ts; and so its dialogs. */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { consolePages } from "./console";
import { administrator } from "./desk";
import { LOOKS, seenIn } from "./looks";
import {
  PHONE,
  expectComplaints,
  newBuyer,
  newOrder,
  overflow,
  payFor,
  violations,
  visit,
  withBrowser,
} from "./support";

withBrowser();

/** Seen in every look. */
const MAIN = [
  /^\/admin$/,
  /^\/admin\/actors$/,
  /^\/admin\/orders$/,
  /^\/admin\/orders\/\w+$/,
  /^\/admin\/alerts$/,
];

let pages: string[] = [];
/** The number of an order that can be shipped. */
let paid = "";
beforeAll(async () => {
  pages = await consolePages();
  const buyer = await newBuyer();
  paid = await newOrder(buyer);
  await payFor(buyer, paid);
});

const settled = async (page: Page) => {
  await page.locator("main :is(h1, h2):visible").first().waitFor();
  await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
};

describe.each(LOOKS)("$lang, $theme, $viewport.width px", (look) => {
  test("every page is accessible and fits", { timeout: 240_000 }, async () => {
    expectComplaints(/404/); // an actor that is in no memory
    const wrong: string[] = [];
    const page = await (await visit({ ...look, as: await administrator() })).newPage();
    for (const path of seenIn(look, pages, MAIN)) {
      await page.goto(path);
      await settled(page);
      for (const violation of await violations(page)) wrong.push(`${path}: ${violation}`);
      const tooWide = await overflow(page);
      if (tooWide > 0) wrong.push(`${path}: ${tooWide} px wider than the window`);
    }
    expect(wrong).toEqual([]);
  });

  test("dialogs, menus and the drawer are accessible", { timeout: 120_000 }, async () => {
    const page = await (await visit({ ...look, as: await administrator() })).newPage();
    await page.goto("/admin/actors");
    await settled(page);
    await page.locator(".panel-head .small-icon").first().click();
    await page.getByRole("menu").waitFor();
    expect((await violations(page)).filter((one) => !one.startsWith("region"))).toEqual([]);
    await page.getByRole("menuitem", { name: /排空|Drain/ }).click();
    await page.getByRole("dialog").waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.goto("/admin/reconciliation");
    await settled(page);
    await page.locator(".page-head .button.primary").click();
    await page.getByRole("dialog").waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.goto(`/admin/orders/${paid}`);
    await settled(page);
    await page.getByRole("button", { name: /^(发货|Ship)$/ }).click();
    await page.getByRole("dialog").waitFor();
    expect(await violations(page)).toEqual([]);
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^(发货|Ship)$/ })
      .click();
    await page.getByRole("dialog").getByRole("alert").waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Escape");
    if (look.viewport === PHONE) {
      await page.locator(".nav-toggle").click();
      await page.locator(".console-nav.open").waitFor();
      expect(await violations(page)).toEqual([]);
    }
  });
});
