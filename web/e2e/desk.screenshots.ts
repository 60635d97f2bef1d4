/** Pictures of the console's pages of catalogue, sales and people, in every look, to be looked at: `SCREENSHOTS=dir`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, test } from "vitest";
import { administrator, deskPages } from "./desk";
import { DESK, PHONE, expectComplaints, visit, withBrowser } from "./support";

const target = process.env.SCREENSHOTS;

withBrowser();
beforeEach(() => expectComplaints(/404/)); // a picture that is not there is shown as well

test.runIf(target)("screenshots of the desk", { timeout: 300_000 }, async () => {
  const folder = target ?? "";
  mkdirSync(folder, { recursive: true });
  const pages = await deskPages();
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
      await page.locator("main :is(h1, h2):visible").first().waitFor();
      await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
      await page.waitForLoadState("networkidle", { timeout: 1_500 }).catch(() => undefined);
      const name = `${look.viewport.width}-${look.lang}-${look.theme}-desk-${index}-${path.replace(/\W+/g, "-")}`;
      await page.screenshot({ path: join(folder, `${name}.jpg`), type: "jpeg", quality: 80, fullPage: true });
    }
  }
});
