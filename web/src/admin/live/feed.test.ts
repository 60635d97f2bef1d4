import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeSocket, fakeSockets, opened } from "../../live/fakeSocket";
import { AdminFeed } from "./feed";
import type { Frames } from "./frames";

const alerts = (...open: string[]) => ({
  type: "alerts",
  at: "2026-11-21T10:00:00+08:00",
  no_answer: [],
  open: open.map((id) => ({ id })),
  ended: [],
});

let feed: AdminFeed;
beforeEach(() => {
  vi.useFakeTimers();
  fakeSockets();
  feed = new AdminFeed();
});
afterEach(() => {
  feed.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("it asks for the topics that are listened to, and for those that come later", async () => {
  feed.on("vitals", vi.fn());
  feed.start();
  const socket = await opened();
  expect(socket.url.href).toContain("/ws/admin?ticket=t");
  expect(socket.sent).toEqual([{ type: "subscribe", topics: ["vitals"] }]);
  expect(feed.state()).toBe("waiting");
  socket.tell({ type: "subscribed", topics: ["vitals"] });
  expect(feed.state()).toBe("live");
  feed.on("alerts", vi.fn());
  feed.on("alerts", vi.fn());
  expect(socket.sent.slice(1)).toEqual([{ type: "subscribe", topics: ["alerts"] }]);
});

test("each listener hears its topic, and whoever comes later finds the newest frame", async () => {
  const [alarm, vitals] = [vi.fn<(frame: Frames["alerts"]) => void>(), vi.fn()];
  feed.on("alerts", alarm);
  feed.on("vitals", vitals);
  feed.start();
  const socket = await opened();
  socket.tell(alerts("a"));
  socket.tell(alerts("a", "b"));
  expect(alarm).toHaveBeenCalledTimes(2);
  expect(vitals).not.toHaveBeenCalled();
  expect(feed.last("alerts")?.open.map(({ id }) => id)).toEqual(["a", "b"]);
});

test("a topic ends with its last listener, and its frame is not kept to grow old", async () => {
  const leave = [feed.on("alerts", vi.fn()), feed.on("alerts", vi.fn())];
  feed.start();
  const socket = await opened();
  socket.tell(alerts("a"));
  leave[0]?.();
  expect(socket.sent.at(-1)).toMatchObject({ type: "subscribe" });
  leave[1]?.();
  expect(socket.sent.at(-1)).toEqual({ type: "unsubscribe", topics: ["alerts"] });
  expect(feed.last("alerts")).toBeUndefined();
});

test("a broken socket comes back with all that is listened to", async () => {
  feed.on("alerts", vi.fn());
  feed.start();
  const first = await opened();
  first.tell({ type: "welcome", server_time: "2026-11-21T10:00:00+08:00" });
  feed.on("metrics", vi.fn());
  first.onclose?.({ code: 1013 });
  expect(feed.state()).toBe("waiting");
  const second = await opened();
  expect(second).not.toBe(first);
  expect(second.sent).toEqual([{ type: "subscribe", topics: ["alerts", "metrics"] }]);
});

test("whoever is no administrator any more does not come back", async () => {
  const states: string[] = [];
  feed.watchState(() => states.push(feed.state()));
  feed.start();
  const socket = await opened();
  socket.tell({ type: "welcome", server_time: "2026-11-21T10:00:00+08:00" });
  socket.onclose?.({ code: 4403 });
  expect(states).toEqual(["waiting", "live", "refused"]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeSocket.all.at(-1)).toBe(socket);
});

test("stopped, it forgets what it was told", async () => {
  feed.on("alerts", vi.fn());
  feed.start();
  (await opened()).tell(alerts("a"));
  feed.stop();
  expect([feed.state(), feed.last("alerts")]).toEqual(["off", undefined]);
});
