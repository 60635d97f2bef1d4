/**
 * A WebSocket that comes back by itself: opened with a ticket, kept awake by pings, given up when silent, opened anew after
 * a pause that grows. What is said over it is its owner's business.
 */
import { api, dataOf } from "../api/client";
import { ApiError } from "../api/error";
import { noteServerTime } from "./clock";

/** `live`: pushes arrive. `waiting`: they do not, ask by yourself meanwhile. `off`: nobody listens. */
export type LineState = "off" | "waiting" | "live";

export interface LineOwner<Frame> {
  /** The socket is open: say what you want to be told. */
  opened(): void;
  heard(frame: Frame): void;
  /** Nothing is heard for the moment. */
  waiting(): void;
  /** True if there is no use in coming back after this close code. */
  isOver?(code: number): boolean;
}

const PING_MS = 20_000;
const SILENCE_MAX_MS = 45_000;
const OPEN_MAX_MS = 10_000;
const BACKOFF_MIN_MS = 400;
const BACKOFF_MAX_MS = 15_000;
const SIGNED_OUT = 4401;
const AT_ONCE: readonly number[] = [1001, 1012, 1013];

interface Timed {
  type: string;
  server_time?: string;
}

export class Line<Frame extends { type: string }> {
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private heart: ReturnType<typeof setInterval> | undefined;
  private heardAt = 0;
  private lastPing = 0;
  private failures = 0;
  private isStopped = true;

  constructor(
    private readonly path: string,
    private readonly owner: LineOwner<Frame>,
    /** False for what everybody is told. */
    private readonly needsTicket = true,
  ) {}

  /** False if it runs already. */
  start(): boolean {
    if (!this.isStopped) return false;
    this.isStopped = false;
    window.addEventListener("online", this.comeBack);
    document.addEventListener("visibilitychange", this.comeBack);
    void this.connect();
    return true;
  }

  stop(): void {
    this.isStopped = true;
    window.removeEventListener("online", this.comeBack);
    document.removeEventListener("visibilitychange", this.comeBack);
    this.drop();
  }

  /** Lost while the line is down: whoever wants something says it in `opened`. */
  send(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** The server did as it was asked: the next pause is a short one again. */
  settled(): void {
    this.failures = 0;
  }

  /** Begins anew after a pause, because what was said made no sense. */
  retry(): void {
    this.drop();
    this.again();
  }

  /** Something changed for the better: do not wait out the pause. */
  private readonly comeBack = () => {
    if (this.isStopped || this.socket || document.visibilityState === "hidden") return;
    this.again(0);
  };

  private async connect(): Promise<void> {
    this.drop();
    if (this.isStopped) return;
    let query = "";
    try {
      if (this.needsTicket) {
        const { ticket } = await dataOf(api.POST("/api/ws/ticket"));
        query = `?ticket=${encodeURIComponent(ticket)}`;
      }
    } catch (error) {
      // Nobody is signed in any more: the session tells its watchers, and whoever started this stops it.
      if (!(error instanceof ApiError) || error.status !== 401) this.again();
      return;
    }
    // `stop` may have been called while the ticket was fetched.
    if (this.hasStopped()) return;
    const url = new URL(this.path + query, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.socket = socket;
    this.heardAt = Date.now();
    this.heart = setInterval(() => this.beat(socket), PING_MS / 4);
    socket.onopen = () => {
      this.owner.opened();
    };
    socket.onmessage = (message) => {
      if (typeof message.data === "string") this.hear(message.data);
    };
    socket.onclose = (close) => {
      if (this.socket === socket) this.closed(close.code);
    };
  }

  private hasStopped(): boolean {
    return this.isStopped;
  }

  private closed(code: number): void {
    this.drop();
    if (this.owner.isOver?.(code)) {
      this.stop();
    } else if (code === SIGNED_OUT) {
      // The next request finds out whether this is about us or about a token that was renewed meanwhile.
      this.again(BACKOFF_MIN_MS);
    } else {
      this.again(AT_ONCE.includes(code) ? BACKOFF_MIN_MS * Math.random() : undefined);
    }
  }

  private beat(socket: WebSocket): void {
    const now = Date.now();
    const limit = socket.readyState === WebSocket.CONNECTING ? OPEN_MAX_MS : SILENCE_MAX_MS;
    if (now - this.heardAt > limit) {
      this.drop();
      this.again(0);
    } else if (socket.readyState === WebSocket.OPEN && now - this.lastPing >= PING_MS) {
      this.lastPing = now;
      socket.send('{"type":"ping"}');
    }
  }

  private hear(text: string): void {
    this.heardAt = Date.now();
    const frame = JSON.parse(text) as Frame & Timed;
    if (frame.server_time && frame.type === "welcome") noteServerTime(frame.server_time, this.heardAt);
    if (frame.server_time && frame.type === "pong") noteServerTime(frame.server_time, this.lastPing);
    this.owner.heard(frame);
  }

  private drop(): void {
    clearTimeout(this.timer);
    clearInterval(this.heart);
    const { socket } = this;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  private again(waitMs?: number): void {
    if (this.isStopped) return;
    this.owner.waiting();
    const backoff = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** this.failures);
    this.failures += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.connect(), waitMs ?? backoff * (0.5 + Math.random() / 2));
  }
}
