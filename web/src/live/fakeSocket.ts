/** For tests of what is said over a WebSocket: one that opens, speaks and breaks when it is told to. */
import { vi } from "vitest";

export class FakeSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = FakeSocket.CONNECTING;
  sent: unknown[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((close: { code: number }) => void) | null = null;

  constructor(readonly url: URL) {
    FakeSocket.all.push(this);
  }
  open() {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
  }
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  tell(frame: unknown) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  close() {
    this.readyState = 3;
  }
}

/** From now on sockets are fake, and tickets for them are given. Needs fake timers. */
export function fakeSockets(): void {
  FakeSocket.all = [];
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("fetch", () =>
    Promise.resolve(
      Response.json({ code: 0, message: "", data: { ticket: "t", expires_in: 30 }, trace_id: "" }),
    ),
  );
}

/** The newest socket, open. */
export async function opened(): Promise<FakeSocket> {
  await vi.advanceTimersByTimeAsync(20_000);
  const socket = FakeSocket.all.at(-1);
  if (!socket) throw new Error("no socket");
  socket.open();
  return socket;
}
