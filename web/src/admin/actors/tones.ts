import type { Tone } from "../parts/Parts";

const TONES: Record<string, Tone> = {
  running: "good",
  paused: "warn",
  draining: "warn",
  starting: "info",
  restarting: "info",
  quarantined: "bad",
  stopped: "bad",
};

export function stateTone(state: string): Tone {
  return TONES[state] ?? "";
}
