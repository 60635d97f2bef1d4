import { afterEach, beforeEach, expect, test, vi, type Mock } from "vitest";
import { FakeSocket, fakeSockets, opened } from "./fakeSocket";
import { Feed, type FeedListener } from "./feed";

const order = (order_no: string, version: number) => ({ order_no, version, status: 1 });
const moved = (order_no: string, version: number, seq: number) => ({
  type: "order",
  ...order(order_no, version),
  seq,
});

let heard: { [K in keyof FeedListener]: Mock<FeedListener[K]> };
let feed: Feed;

beforeEach(() => {
  vi.useFakeTimers();
  fakeSockets();
  heard = {
    state: vi.fn<FeedListener["state"]>(),
    snapshot: vi.fn<FeedListener["snapshot"]>(),
    moved: vi.fn<FeedListener["moved"]>(),
  };
  feed = new Feed(heard);
});

afterEach(() => {
  feed.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("it subscribes to everything and tells each step once", async () => {
  feed.start();
  const socket = await opened();
  expect(socket.url.href).toContain("/ws?ticket=t");
  expect(socket.sent[0]).toEqual({ type: "subscribe", orders: "all" });
  socket.tell({ type: "snapshot", seq: 4, orders: [order("A", 1)] });
  expect(heard.state).toHaveBeenLastCalledWith("live");
  socket.tell(moved("A", 2, 5));
  socket.tell(moved("A", 2, 5));
  socket.tell(moved("A", 1, 3));
  expect(heard.moved).toHaveBeenCalledTimes(1);
});

test("it comes back behind what it saw", async () => {
  feed.start();
  const first = await opened();
  first.tell({ type: "snapshot", seq: 4, orders: [order("A", 1)] });
  first.tell(moved("A", 2, 7));
  first.onclose?.({ code: 1013 });
  expect(heard.state).toHaveBeenLastCalledWith("waiting");
  const second = await opened();
  expect(second).not.toBe(first);
  expect(second.sent[0]).toEqual({ type: "subscribe", orders: "all", since: 7, known: { A: 2 } });
  // The snapshot is ahead of what was told: the missed step is told nevertheless.
  second.tell({ type: "snapshot", seq: 9, orders: [order("A", 3)] });
  second.tell(moved("A", 3, 9));
  expect(heard.moved).toHaveBeenCalledTimes(2);
});

test("a silent connection is given up", async () => {
  feed.start();
  const socket = await opened();
  socket.tell({ type: "snapshot", seq: 1, orders: [] });
  await vi.advanceTimersByTimeAsync(25_000);
  expect(socket.sent.at(-1)).toEqual({ type: "ping" });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(socket.readyState).toBe(3);
  expect(FakeSocket.all.length).toBeGreaterThan(1);
});

test("stopped is stopped", async () => {
  feed.start();
  const socket = await opened();
  feed.stop();
  expect(heard.state).toHaveBeenLastCalledWith("off");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeSocket.all.at(-1)).toBe(socket);
});

test("it has the latest place in a waiting room told, also after it came back", async () => {
  const [far, near] = [vi.fn(), vi.fn()];
  const move = { type: "queue", product_id: 7, state: "waiting", position: 4, eta_ms: 4_000 };
  feed.start();
  const first = await opened();
  feed.follow(7, "ticket-7", far);
  const leave = feed.follow(8, "ticket-8", near);
  expect(first.sent.slice(1)).toEqual([
    { type: "queue", ticket: "ticket-7" },
    { type: "queue", ticket: "ticket-8" },
  ]);
  first.tell({ ...move, product_id: 8 });
  expect(near).toHaveBeenCalledTimes(1);
  leave();
  expect(first.sent.at(-1), "the other's turn to be told").toEqual({ type: "queue", ticket: "ticket-7" });
  first.tell(move);
  first.tell({ ...move, product_id: 8 });
  expect([far.mock.lastCall, near.mock.calls.length]).toEqual([[move], 1]);
  first.onclose?.({ code: 1013 });
  const second = await opened();
  expect(second.sent.at(-1)).toEqual({ type: "queue", ticket: "ticket-7" });
  second.tell({ type: "error", code: 60_006, message: "not yours" });
  const third = await opened();
  expect(third.sent, "what was refused is not said again").toHaveLength(1);
});
