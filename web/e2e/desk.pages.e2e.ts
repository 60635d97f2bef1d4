/** The console's pages of catalogue, sales and people: axe finds nothing, nothing is wider than the window, in each look of looks.ts. */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { administrator, deskPages } from "./desk";
import { LOOKS, seenIn } from "./looks";
import { expectComplaints, newBuyer, newSale, overflow, violations, visit, withBrowser } from "./support";

withBrowser();

/** Seen in every look. */
const MAIN = [
  /^\/admin\/products$/,
  /^\/admin\/products\/\d+$/,
  /^\/admin\/sales$/,
  /^\/admin\/sales\/\d+$/,
  /^\/admin\/audit-log$/,
];

let pages: string[] = [];
beforeAll(async () => {
  pages = await deskPages();
});

describe.each(LOOKS)("$lang, $theme, $viewport.width px", (look) => {
  test("every page is accessible and fits", { timeout: 240_000 }, async () => {
    expectComplaints(/404 .*none\.jpg/); // a picture that is not there has its place too
    const wrong: string[] = [];
    const page = await (await visit({ ...look, as: await administrator() })).newPage();
    for (const path of seenIn(look, pages, MAIN)) {
      await page.goto(path);
      await page.locator("main h1:visible").first().waitFor();
      await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
      for (const violation of await violations(page)) wrong.push(`${path}: ${violation}`);
      const tooWide = await overflow(page);
      if (tooWide > 0) wrong.push(`${path}: ${tooWide} px wider than the window`);
    }
    expect(wrong).toEqual([]);
  });

  test("dialogs are accessible", { timeout: 120_000 }, async () => {
    const { productId, saleId } = await newSale(5);
    const buyer = await newBuyer();
    const page = await (await visit({ ...look, as: await administrator() })).newPage();
    const dialog = async (path: string, open: (page: Page) => Promise<void>) => {
      await page.goto(path);
      await page.locator("main h1:visible").first().waitFor();
      await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
      await open(page);
      await page.getByRole("dialog").waitFor();
      expect(await violations(page), path).toEqual([]);
    };
    const press = (name: RegExp) => (shown: Page) => shown.getByRole("button", { name }).first().click();
    await dialog("/admin/categories", press(/新增分类|Add a category/));
    await dialog(`/admin/stock/${productId}`, press(/^(入库|Put in)$/));
    await dialog(`/admin/sales/${saleId}`, press(/修改条件|Change terms/));
    await dialog(`/admin/users/${buyer.user.id}`, press(/停用账户|Shut out/));
    await dialog("/admin/audit-log", press(/查看详情|Show details/));
    await dialog("/admin/nodes", press(/排空|Drain/));
  });
});
