import { describe, expect, test } from "vitest";
import { ApiError, Code, Unreachable } from "../api/error";
import { IDLE, fromStorage, step, toStorage, type Claim } from "./claim";

const asking = step(IDLE, { type: "clicked", key: "k1" });
const after = (error: unknown, claim: Claim = asking) => step(claim, { type: "error", error, now: 1000 });

describe("a wish for a unit", () => {
  test("keeps its key however often it is clicked", () => {
    expect(step(asking, { type: "clicked", key: "k2" })).toBe(asking);
    const waiting = after(new Unreachable());
    expect(step(waiting, { type: "clicked", key: "k2" })).toBe(waiting);
  });

  test("keeps its place in a waiting room for as long as it takes, over reloads too", () => {
    const told = (position: number) =>
      new ApiError(Code.Waiting, 429, "", {
        queue_ticket: `ticket-${position}`,
        position,
        eta_ms: position * 100,
        retry_after_ms: 2_000,
      });
    let claim = after(told(50));
    for (let position = 49; position > 0; position -= 1) claim = after(told(position), claim);
    expect(claim).toMatchObject({
      phase: "asking",
      key: "k1",
      tries: 0,
      againAt: 3_000,
      place: { ticket: "ticket-1", position: 1, etaMs: 100 },
    });
    expect(fromStorage(toStorage(claim))).toMatchObject({
      phase: "asking",
      key: "k1",
      place: { ticket: "ticket-1" },
    });
    expect(step(claim, { type: "answered", orderNo: "o1" })).toEqual({ phase: "queued", orderNo: "o1" });
  });

  test("asks seldom while its place is told, and at once when there is nothing to wait for", () => {
    const details = { queue_ticket: "ticket", position: 9, eta_ms: 900, retry_after_ms: 400 };
    const waiting = after(new ApiError(Code.Waiting, 429, "", details)); // to ask again at 1,400
    const move = { type: "moved", state: "waiting", position: 4, etaMs: 400, now: 1_300 } as const;
    const told = step(waiting, move);
    expect(told).toMatchObject({ againAt: 6_300, place: { ticket: "ticket", position: 4, etaMs: 400 } });
    for (const state of ["admitted", "missed", "over", "open"]) {
      const over = step(told, { ...move, state, position: 0, etaMs: 0 });
      expect(over, state).toMatchObject({ againAt: null, place: { position: 4 } });
      expect(step(over, move), "asked already").toBe(over);
    }
    expect(step(after(new Unreachable()), move), "in no room").not.toHaveProperty("place");
    expect(step(IDLE, move)).toBe(IDLE);
  });

  test("is sent again with the same key while the outcome is unknown", () => {
    for (const error of [new Unreachable(), new ApiError(409, 409, ""), new ApiError(60011, 503, "")]) {
      expect(after(error)).toMatchObject({ phase: "asking", key: "k1", tries: 1, againAt: 1300 });
    }
  });

  test("waits as long as the server says, within reason", () => {
    const told = (retry_after_ms: number) => after(new ApiError(60010, 429, "", { retry_after_ms }));
    expect(told(900)).toMatchObject({ againAt: 1900 });
    expect(told(600_000)).toMatchObject({ againAt: 6000 });
  });

  test("gives up after a while, and another click asks for the same unit", () => {
    let claim: Claim = asking;
    for (let tries = 0; tries < 12; tries += 1) claim = after(new Unreachable(), claim);
    expect(claim).toEqual({ phase: "unknown", key: "k1" });
    expect(step(claim, { type: "clicked", key: "k2" })).toMatchObject({ phase: "asking", key: "k1" });
  });

  test("ends with a definite refusal, and the next wish has a key of its own", () => {
    const refused = after(new ApiError(Code.SoldOut, 200, "商品已售罄"));
    expect(refused).toEqual({ phase: "refused", code: 60003, message: "商品已售罄", orderNo: null });
    expect(step(refused, { type: "clicked", key: "k2" })).toMatchObject({ key: "k2" });
  });

  test("leads to the order that the buyer has already", () => {
    const refused = after(new ApiError(Code.AlreadyBought, 200, "", { order_no: "01M" }));
    expect(refused).toMatchObject({ phase: "refused", orderNo: "01M" });
  });

  test("becomes an order, or fails with its reason", () => {
    const queued = step(asking, { type: "answered", orderNo: "01M" });
    expect(queued).toEqual({ phase: "queued", orderNo: "01M" });
    expect(step(queued, { type: "result", status: "processing" })).toBe(queued);
    expect(step(queued, { type: "result", status: "created" })).toEqual({ phase: "ordered", orderNo: "01M" });
    expect(step(queued, { type: "result", status: "failed", reason: "sold_out" })).toMatchObject({
      phase: "failed",
      reason: "sold_out",
    });
  });

  test("late news changes nothing", () => {
    const ordered: Claim = { phase: "ordered", orderNo: "01M" };
    expect(step(ordered, { type: "error", error: new Unreachable(), now: 0 })).toBe(ordered);
    expect(step(ordered, { type: "answered", orderNo: "02M" })).toBe(ordered);
    expect(step(IDLE, { type: "answered", orderNo: "02M" })).toBe(IDLE);
  });

  test("survives a reload until its outcome is known", () => {
    expect(fromStorage(toStorage(after(new Unreachable())))).toEqual(asking);
    expect(fromStorage(toStorage({ phase: "unknown", key: "k1" }))).toEqual(asking);
    const queued: Claim = { phase: "queued", orderNo: "01M" };
    expect(fromStorage(toStorage(queued))).toEqual(queued);
    expect(toStorage({ phase: "ordered", orderNo: "01M" })).toBeNull();
    expect(fromStorage("not ours")).toBe(IDLE);
  });
});
