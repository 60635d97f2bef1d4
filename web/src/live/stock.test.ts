import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeSocket, fakeSockets, opened } from "./fakeSocket";
import { StockFeed, hasMoved, withLevel, type Level } from "./stock";

const level = (product_id: number, left: number, state: Level["state"] = "open") => ({
  type: "stock",
  product_id,
  sale_id: product_id * 10,
  left,
  free: 0,
  state,
});

beforeEach(() => {
  vi.useFakeTimers();
  fakeSockets();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("it asks without a ticket for what is looked at, and tells levels", async () => {
  const feed = new StockFeed();
  feed.watch([1, 2]);
  const socket = await opened();
  expect(socket.url.pathname + socket.url.search).toBe("/ws/stock");
  expect(socket.sent).toEqual([{ type: "watch", products: [1, 2] }]);
  expect(feed.isLive()).toBe(false);
  socket.tell({ type: "watching", products: [1, 2] });
  socket.tell(level(1, 7));
  expect(feed.isLive()).toBe(true);
  expect(feed.levels().get(1)?.left).toBe(7);
});

test("the same products are asked for once, more products anew", async () => {
  const feed = new StockFeed();
  feed.watch([1]);
  const socket = await opened();
  feed.watch([1]);
  const asked = () => socket.sent.filter((message) => (message as { type: string }).type === "watch");
  await vi.advanceTimersByTimeAsync(100);
  expect(asked()).toHaveLength(1);
  feed.watch([3]);
  feed.watch([4]);
  await vi.advanceTimersByTimeAsync(100);
  expect(asked()).toHaveLength(2);
  expect(asked().at(-1)).toEqual({ type: "watch", products: [1, 3, 4] });
});

test("levels of a broken socket are forgotten, and asked for again by the next", async () => {
  const feed = new StockFeed();
  feed.watch([1]);
  const socket = await opened();
  socket.tell({ type: "watching", products: [1] });
  socket.tell(level(1, 7));
  socket.onclose?.({ code: 1013 });
  expect([feed.isLive(), feed.levels().size]).toEqual([false, 0]);
  const second = await opened();
  expect(second).not.toBe(socket);
  expect(second.sent).toEqual([{ type: "watch", products: [1] }]);
});

test("a node that watches enough leaves the page to ask by itself", async () => {
  const feed = new StockFeed();
  feed.watch([1]);
  const socket = await opened();
  socket.tell({ type: "watching", products: [1] });
  socket.tell({ type: "error", code: 503 });
  expect(feed.isLive()).toBe(false);
});

test("the socket closes when nobody looks any more, and not between two pages", async () => {
  const feed = new StockFeed();
  const leave = feed.watch([1]);
  const socket = await opened();
  leave();
  const leaveAgain = feed.watch([1]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(socket.readyState).toBe(FakeSocket.OPEN);
  leaveAgain();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(socket.readyState).toBe(3);
});

test("a level counts for its own sale only", () => {
  const sale = { id: 10, product_id: 1, stock: 9, closed: false };
  const levels = (told: object) => new Map([[1, told as Level]]);
  expect(withLevel(sale, levels(level(1, 4))).stock).toBe(4);
  expect(withLevel(sale, levels({ ...level(1, 4), sale_id: 11 })).stock).toBe(9);
  expect(withLevel(sale, levels(level(1, 4, "closed"))).closed).toBe(true);
  expect(withLevel(sale, levels(level(1, 4, "paused"))).paused).toBe(true);
  expect(withLevel(sale, new Map())).toEqual({ ...sale, paused: false });
});

test("a level is forgotten once it is not told any more", async () => {
  const feed = new StockFeed();
  const leave = feed.watch([1]);
  const socket = await opened();
  socket.tell({ type: "watching", products: [1] });
  socket.tell(level(1, 7));
  leave();
  feed.watch([2]);
  await vi.advanceTimersByTimeAsync(100);
  expect(socket.sent.at(-1)).toEqual({ type: "watch", products: [2] });
  expect(feed.levels().has(1)).toBe(false);
});

test("a sale has moved when its state is another one, not when it comes into sight or sells", () => {
  const levels = (...all: Level[]) => new Map(all.map((one) => [one.product_id, one]));
  const of = (left: number, state?: Level["state"]): Level => level(1, left, state);
  expect(hasMoved(new Map(), levels(of(4)))).toBe(false);
  expect(hasMoved(levels(of(4)), levels(of(3), level(2, 1)))).toBe(false);
  expect(hasMoved(levels(of(4)), new Map())).toBe(false);
  expect(hasMoved(levels(of(4)), levels(of(4, "paused")))).toBe(true);
  expect(hasMoved(levels(of(4)), levels({ ...of(4), sale_id: 11 }))).toBe(true);
});
