/**
 * The WebSocket over which the server tells how orders move (docs/API.md). It resumes behind the last commit it saw, and
 * tells no step twice. Whoever listens must not care how often it broke.
 */
import type { components } from "../api/schema";
import { Line, type LineState } from "./line";

type Order = components["schemas"]["OrderJson"];

export interface OrderMoved {
  order_no: string;
  version: number;
  status: number;
  event: string;
  at: string;
  product_id: number;
}

/** How far a place in a waiting room is; the last one told is not `waiting`. */
export interface PlaceMoved {
  product_id: number;
  state: string;
  position: number;
  eta_ms: number;
}

interface Followed {
  productId: number;
  ticket: string;
  told: (place: PlaceMoved) => void;
}

/** `off`: nobody is signed in. */
export type FeedState = LineState;

export interface FeedListener {
  state(state: FeedState): void;
  snapshot(orders: Order[]): void;
  moved(order: OrderMoved): void;
}

/** The server takes so many versions with a subscription. */
const KNOWN_MAX = 100;

type Frame =
  | { type: "welcome"; seq: number; server_time: string }
  | { type: "snapshot"; seq: number; orders: Order[] }
  | ({ type: "order"; seq: number } & OrderMoved)
  | ({ type: "queue" } & PlaceMoved)
  | { type: "pong"; server_time: string }
  | { type: "error"; code: number; message: string };

export class Feed {
  private readonly line: Line<Frame>;
  private seq: number | null = null;
  private readonly versions = new Map<string, number>();
  private followed: Followed[] = [];

  constructor(private readonly listener: FeedListener) {
    this.line = new Line("/ws", {
      opened: () => this.subscribe(),
      heard: (frame) => this.hear(frame),
      waiting: () => listener.state("waiting"),
    });
  }

  start(): void {
    if (this.line.start()) this.listener.state("waiting");
  }

  stop(): void {
    this.line.stop();
    this.seq = null;
    this.versions.clear();
    this.listener.state("off");
  }

  /**
   * Has the place that a ticket stands for told until the answer is called. A socket tells of one place, that of the
   * latest: whoever follows another must be able to do without.
   */
  follow(productId: number, ticket: string, told: Followed["told"]): () => void {
    const followed = { productId, ticket, told };
    this.followed.push(followed);
    this.askForPlace();
    return () => {
      const wasLatest = this.followed.at(-1) === followed;
      this.followed = this.followed.filter((other) => other !== followed);
      if (wasLatest) this.askForPlace();
    };
  }

  private askForPlace(): void {
    const latest = this.followed.at(-1);
    if (latest) this.line.send({ type: "queue", ticket: latest.ticket });
  }

  private subscribe(): void {
    const known = Object.fromEntries([...this.versions].slice(-KNOWN_MAX));
    const since = this.seq === null ? {} : { since: this.seq, known };
    this.line.send({ type: "subscribe", orders: "all", ...since });
    this.askForPlace();
  }

  private hear(frame: Frame): void {
    switch (frame.type) {
      case "snapshot":
        this.line.settled();
        this.seq = Math.max(this.seq ?? 0, frame.seq);
        this.listener.snapshot(frame.orders);
        // Steps that were missed follow in frames of their own: only without a past is the snapshot all there is.
        for (const order of frame.orders) {
          if (!this.versions.has(order.order_no)) this.remember(order.order_no, order.version);
        }
        this.listener.state("live");
        break;
      case "order":
        this.seq = Math.max(this.seq ?? 0, frame.seq);
        if (frame.version <= (this.versions.get(frame.order_no) ?? 0)) break;
        this.remember(frame.order_no, frame.version);
        this.listener.moved(frame);
        break;
      case "queue":
        for (const { productId, told } of this.followed) if (productId === frame.product_id) told(frame);
        break;
      case "error":
        this.followed = []; // a ticket that makes no sense must not be shown again and again
        this.line.retry();
        break;
      case "welcome":
      case "pong":
        break;
    }
  }

  private remember(orderNo: string, version: number): void {
    this.versions.delete(orderNo); // the latest stand last
    this.versions.set(orderNo, version);
  }
}
