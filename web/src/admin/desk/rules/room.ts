/** What an administrator may make of a sale's waiting room, and how it is told to the server. Pure. */
import type { components } from "../../../api/schema";

type Room = components["schemas"]["SaleRoomJson"];

/** A rate of its own, the rate of all sales, or nobody waits. */
export type RoomMode = "own" | "settings" | "off";
export const ROOM_MODES: readonly RoomMode[] = ["own", "settings", "off"];

const RATE_MAX = 1_000_000;

export function modeOf(room: Pick<Room, "admissions_per_second" | "is_own">): RoomMode {
  if (!room.is_own) return "settings";
  return room.admissions_per_second > 0 ? "own" : "off";
}

export function isRate(text: string): boolean {
  const typed = text.trim();
  return /^\d{1,7}$/.test(typed) && Number(typed) >= 1 && Number(typed) <= RATE_MAX;
}

export function rateOf(mode: RoomMode, rate: string): number | null {
  if (mode === "settings") return null;
  return mode === "off" ? 0 : Number(rate.trim());
}
