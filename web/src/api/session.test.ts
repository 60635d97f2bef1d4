import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { currentSession, isFresh, renewedSession, sessionOf, storeSession, watchSession } from "./session";

const user = { id: 1, username: "li" } as never;
const tokens = (token: string) => ({ token, refresh_token: `r-${token}`, expires_in: 900 });

beforeEach(() => storeSession(sessionOf(tokens("a"), user)));

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("renewing a sign-in", () => {
  test("happens once however many ask", async () => {
    const renew = vi.fn(() => Promise.resolve(tokens("b")));
    const all = await Promise.all([1, 2, 3].map(() => renewedSession("a", renew)));
    expect(renew).toHaveBeenCalledExactlyOnceWith("r-a");
    expect(all.map((session) => session?.token)).toEqual(["b", "b", "b"]);
    expect(currentSession()?.refreshToken).toBe("r-b");
  });

  test("takes what another tab got", async () => {
    const renew = vi.fn();
    expect((await renewedSession("older", renew))?.token).toBe("a");
    expect(renew).not.toHaveBeenCalled();
  });

  test("ends the sign-in if the server does not know it", async () => {
    expect(await renewedSession("a", () => Promise.resolve(null))).toBeNull();
    expect(currentSession()).toBeNull();
  });

  test("keeps it if the server could not be asked", async () => {
    await expect(renewedSession("a", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    expect(currentSession()?.token).toBe("a");
  });

  test("does not undo a sign-out meanwhile", async () => {
    const renew = () => {
      storeSession(null);
      return Promise.resolve(tokens("b"));
    };
    expect(await renewedSession("a", renew)).toBeNull();
    expect(currentSession()).toBeNull();
  });

  test("keeps other tabs out until what it got has reached them", async () => {
    vi.useFakeTimers();
    const released = vi.fn();
    const request = async (_name: string, held: () => Promise<unknown>) => {
      const result = await held();
      released();
      return result;
    };
    vi.stubGlobal("navigator", { locks: { request } });
    const session = await renewedSession("a", () => Promise.resolve(tokens("b")));
    expect(session?.token, "this tab has it at once").toBe("b");
    expect(released).not.toHaveBeenCalled();
    await vi.runAllTimersAsync();
    expect(released).toHaveBeenCalledOnce();
  });

  test("frees the lock too if the server could not be asked", async () => {
    vi.useFakeTimers();
    const released = vi.fn();
    const request = (_name: string, held: () => Promise<unknown>) => held().then(released);
    vi.stubGlobal("navigator", { locks: { request } });
    await expect(renewedSession("a", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    await vi.runAllTimersAsync();
    expect(released).toHaveBeenCalledOnce();
  });
});

test("a token is renewed a little before its end", () => {
  const session = sessionOf(tokens("a"), user, 0);
  expect(isFresh(session, 879_000)).toBe(true);
  expect(isFresh(session, 881_000)).toBe(false);
});

test("watchers hear of changes here and in other tabs", () => {
  const heard = vi.fn();
  const stop = watchSession(heard);
  storeSession(null);
  window.dispatchEvent(new StorageEvent("storage", { key: "rushmall.session" }));
  window.dispatchEvent(new StorageEvent("storage", { key: "other" }));
  expect(heard).toHaveBeenCalledTimes(2);
  stop();
});

test("what is no session is none", () => {
  localStorage.setItem("rushmall.session", "{broken");
  expect(currentSession()).toBeNull();
});
