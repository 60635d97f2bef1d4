/** What the tests share: browsers that complain of every error, buyers, and the administrator's side of the shop. */
import axe from "axe-core";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, inject } from "vitest";

export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1440, height: 900 };

export interface Buyer {
  username: string;
  password: string;
  token: string;
  refresh_token: string;
  expires_in: number;
  user: { id: number };
}

interface Visit {
  viewport?: { width: number; height: number };
  lang?: "zh" | "en";
  theme?: "light" | "dark";
  as?: Buyer;
}

export const shopUrl = () => inject("url");

let browser: Browser;
const contexts: BrowserContext[] = [];
const complaints: string[] = [];
/** Complaints that the test in hand expects. */
let isExpected = (complaint: string) => complaint.length === 0;

export function expectComplaints(pattern: RegExp): void {
  isExpected = (complaint) => pattern.test(complaint);
}

/** To be called once in each file of tests. */
export function withBrowser(): void {
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
    });
  });
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    const unexpected = complaints.splice(0).filter((complaint) => !isExpected(complaint));
    isExpected = () => false;
    expect(unexpected, "errors in the browser's console").toEqual([]);
  });
  afterAll(() => browser.close());
}

/** A browser of its own, as a visitor or as a buyer who signed in before. */
export async function visit({
  viewport = DESK,
  lang = "zh",
  theme = "light",
  as,
}: Visit = {}): Promise<BrowserContext> {
  const context = await browser.newContext({
    baseURL: shopUrl(),
    viewport,
    hasTouch: viewport.width < 600,
    locale: lang === "zh" ? "zh-CN" : "en-US",
    colorScheme: theme,
    reducedMotion: "reduce", // contrast is measured at rest
    timezoneId: "Asia/Shanghai",
  });
  contexts.push(context);
  context.setDefaultTimeout(15_000);
  if (as) {
    const session = {
      token: as.token,
      refreshToken: as.refresh_token,
      expiresAt: Date.now() + as.expires_in * 1000,
      user: as.user,
    };
    await context.addInitScript((text) => {
      if (location.protocol.startsWith("http") && !localStorage.getItem("e2e")) {
        localStorage.setItem("rushmall.session", text);
        localStorage.setItem("e2e", "signed in");
      }
    }, JSON.stringify(session));
  }
  context.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()} (${message.location().url})`);
  });
  context.on("weberror", (error) => complaints.push(String(error.error())));
  return context;
}

export async function pageOf(visitor: Visit = {}, path = "/"): Promise<Page> {
  const page = await (await visit(visitor)).newPage();
  await page.goto(path);
  return page;
}

interface Envelope<T> {
  code: number;
  message: string;
  data: T;
}

interface Answer<T> {
  status: number;
  envelope: Envelope<T>;
}

/** Speaks to the shop beside the browser, once and whatever it answers. */
export async function callOnce<T>(
  method: string,
  path: string,
  token = "",
  body?: unknown,
  key = "",
): Promise<Answer<T>> {
  const response = await fetch(shopUrl() + path, {
    method,
    headers: {
      "content-type": "application/json",
      ...(token && { authorization: `Bearer ${token}` }),
      ...(key && { "idempotency-key": key }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, envelope: (await response.json()) as Envelope<T> };
}

/** For how long a call bears with a shop that says "not now" or "still at it". */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 200;

/** Speaks to the shop patiently: on a machine that may be too busy for the time limits of a shop. */
export async function call<T>(method: string, path: string, token = "", body?: unknown): Promise<T> {
  const [key, until] = [crypto.randomUUID(), Date.now() + PATIENCE_MS];
  for (;;) {
    const { status, envelope } = await callOnce<T>(method, path, token, body, key);
    if (envelope.code === 0) return envelope.data;
    const isPassing = status === 409 || status === 503;
    if (!isPassing || Date.now() > until) {
      throw new Error(`${method} ${path}: ${envelope.code} ${envelope.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

let buyers = 0;

export async function newBuyer(): Promise<Buyer> {
  buyers += 1;
  const username = `buyer-${Date.now().toString(36)}-${buyers}`;
  const password = "buyer-2026";
  const signedIn = await call<Omit<Buyer, "username" | "password">>("POST", "/api/user/register", "", {
    username,
    password,
  });
  return { username, password, ...signedIn };
}

/** Well within the life of a token. */
const SIGNED_IN_MS = 600_000;

/** What `signIn` gives, and gives anew before its token ends. */
export function fresh<T>(signIn: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined;
  let until = 0;
  return () => {
    if (known === undefined || Date.now() > until) {
      known = signIn();
      until = Date.now() + SIGNED_IN_MS;
    }
    return known;
  };
}

export const adminToken = fresh(async () => {
  const form = { username: "e2e-admin", password: inject("adminPassword") };
  return (await call<{ token: string }>("POST", "/api/user/login", "", form)).token;
});

export async function newProduct(
  product: Record<string, unknown> = {},
): Promise<{ id: number; name: string }> {
  const form = {
    name: `测试商品 ${Date.now()}`,
    price: 100,
    stock: 50,
    image_url: "/photos/tea.svg",
    ...product,
  };
  return call("POST", "/api/product", await adminToken(), form);
}

/** A flash sale of a new product, open since a minute ago. */
export async function newSale(stock: number, product: Record<string, unknown> = {}) {
  const { id, name } = await newProduct({ stock: stock + 10, ...product });
  const at = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
  const sale = await call<{ id: number }>("POST", "/api/seckill/sale", await adminToken(), {
    product_id: id,
    price: 9.9,
    stock,
    start_at: at(-1),
    end_at: at(60),
    per_user_limit: 1,
  });
  return { productId: id, saleId: sale.id, name };
}

/** Where a sale is shown, however many there are. */
export const flash = ({ productId, saleId }: { productId: number; saleId: number }) =>
  `/flash?product=${productId}#sale-${saleId}`;

interface OrderRow {
  order_no: string;
  status: number;
  product_id: number;
}

export async function ordersOf(buyer: Buyer): Promise<OrderRow[]> {
  return (await call<{ list: OrderRow[] }>("GET", "/api/order", buyer.token)).list;
}

/** An unpaid order of one unit. */
export async function newOrder(buyer: Buyer, productId?: number): Promise<string> {
  const product_id = productId ?? (await newProduct()).id;
  const order = await call<OrderRow>("POST", "/api/order", buyer.token, { product_id });
  return order.order_no;
}

export async function payFor(buyer: Buyer, orderNo: string): Promise<void> {
  await call("POST", `/api/order/${orderNo}/pay`, buyer.token, { pay_type: 9 });
}

/** What axe finds wrong, in words that lead there. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  if (found.passes.length < 5) throw new Error("axe looked at nothing");
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.target.join(" ")} ${node.failureSummary ?? ""}`),
  );
}

/** Pixels by which the page is wider than the window; it must never scroll sideways. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
