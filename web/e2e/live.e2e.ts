/** Orders move on all screens by themselves, whatever happens to the connection. */
import { expect, test } from "vitest";
import {
  adminToken,
  call,
  expectComplaints,
  newBuyer,
  newOrder,
  payFor,
  withBrowser,
  visit,
} from "./support";

withBrowser();

test("a second tab sees what the first does", async () => {
  const buyer = await newBuyer();
  const orderNo = await newOrder(buyer);
  const context = await visit({ as: buyer });
  const [list, detail] = [await context.newPage(), await context.newPage()];
  await list.goto("/orders");
  await detail.goto(`/orders/${orderNo}`);
  await detail.getByText("实时更新中").waitFor();
  await list.getByTestId(`order-${orderNo}`).getByText("待支付").waitFor();
  await payFor(buyer, orderNo);
  await list.getByTestId(`order-${orderNo}`).getByText("已支付").waitFor();
  await detail.getByTestId("order-status").getByText("已支付").waitFor();
  await call("POST", `/api/order/${orderNo}/ship`, await adminToken(), {
    carrier: "顺丰速运",
    tracking_no: "SF100",
  });
  await detail.getByTestId("order-status").getByText("已发货").waitFor();
  await detail.getByText("SF100").waitFor();
  await detail.getByRole("button", { name: "确认收货" }).click();
  await detail.getByRole("dialog").getByRole("button", { name: "确认收货" }).click();
  await list.getByTestId(`order-${orderNo}`).getByText("已完成").waitFor();
});

test("without a WebSocket the page asks by itself", async () => {
  const buyer = await newBuyer();
  const orderNo = await newOrder(buyer);
  const context = await visit({ as: buyer, lang: "en" });
  const page = await context.newPage();
  await page.routeWebSocket("**/ws?*", (socket) => socket.close({ code: 1011 }));
  await page.goto(`/orders/${orderNo}`);
  await page.getByText("Live updates are interrupted").waitFor();
  await payFor(buyer, orderNo);
  await page.getByTestId("order-status").getByText("Paid").waitFor();
});

test("a broken WebSocket comes back and resumes behind what it saw", async () => {
  const buyer = await newBuyer();
  const orderNo = await newOrder(buyer);
  const context = await visit({ as: buyer });
  const page = await context.newPage();
  const subscriptions: { since?: number; known?: Record<string, number> }[] = [];
  const sockets: { close: (options: { code: number }) => Promise<void> }[] = [];
  let isDown = false;
  await page.routeWebSocket("**/ws?*", async (socket) => {
    if (isDown) return socket.close({ code: 1013 });
    sockets.push(socket);
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const frame = JSON.parse(String(text)) as (typeof subscriptions)[number] & { type: string };
      if (frame.type === "subscribe") subscriptions.push(frame);
      server.send(text);
    });
  });
  await page.goto(`/orders/${orderNo}`);
  await page.getByText("实时更新中").waitFor();
  isDown = true;
  await sockets[0]?.close({ code: 1013 });
  await payFor(buyer, orderNo); // while nobody listens
  isDown = false;
  await page.getByText("实时更新中").waitFor();
  await page.getByTestId("order-status").getByText("已支付").waitFor();
  await expect.poll(() => subscriptions.length).toBeGreaterThan(1);
  expect(subscriptions[0]?.since).toBeUndefined();
  expect(subscriptions.at(-1)?.since).toBeGreaterThan(0);
  expect(subscriptions.at(-1)?.known).toEqual({ [orderNo]: 1 });
});

test("signing out in one tab signs out the other", async () => {
  expectComplaints(/401/); // the other may just be asking for its orders
  const buyer = await newBuyer();
  const context = await visit({ as: buyer });
  const [first, second] = [await context.newPage(), await context.newPage()];
  await first.goto("/orders");
  await second.goto("/account/profile");
  await second.getByRole("main").getByRole("button", { name: "退出登录" }).click();
  await first.waitForURL("**/sign-in?next=*");
});

test("two tabs whose token has ended renew it once between them", async () => {
  const buyer = await newBuyer();
  const context = await visit({ as: { ...buyer, expires_in: 1 } });
  const renewals: string[] = [];
  context.on("request", (request) => {
    if (request.url().endsWith("/refresh-token")) renewals.push(request.url());
  });
  const pages = [await context.newPage(), await context.newPage()];
  await Promise.all(pages.map((page) => page.goto("/account/devices")));
  await Promise.all(pages.map((page) => page.getByText("当前设备").waitFor()));
  expect(renewals).toHaveLength(1);
});
