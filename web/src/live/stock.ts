/**
 * Units left by push (docs/API.md, "Units left, without an account"): one socket a tab, for the products that are looked at,
 * open only while some are. A frame is a level, so nothing has to be resumed; without the socket pages ask by themselves.
 */
import { Line } from "./line";

/** What one product's sale has left, as the gate has it at which clicks are judged. */
export interface Level {
  product_id: number;
  sale_id: number | null;
  left: number | null;
  free: number;
  state: "none" | "upcoming" | "open" | "paused" | "ended" | "closed";
}

type Frame =
  | { type: "watching"; products: number[] }
  | ({ type: "stock" } & Level)
  | { type: "pong" }
  | { type: "error"; code: number };

/** The server takes so many products of one socket. */
const WATCHED_MAX = 20;
/** A page that goes and one that comes look at the same products: the socket outlives the moment between them. */
const LINGER_MS = 2_000;
/** What comes into sight together is asked for together. */
const GATHER_MS = 50;

export type Levels = ReadonlyMap<number, Level>;
const NOTHING: Levels = new Map();

export class StockFeed {
  private readonly line: Line<Frame>;
  private readonly wanted = new Map<number, number>();
  private readonly watchers = new Set<() => void>();
  private told: Levels = NOTHING;
  private live = false;
  private ending: ReturnType<typeof setTimeout> | undefined;
  private asking: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.line = new Line<Frame>(
      "/ws/stock",
      {
        opened: () => this.ask(),
        heard: (frame) => this.hear(frame),
        waiting: () => this.forget(),
      },
      false,
    );
  }

  /** Looks at these products until the function that it gives is called. */
  watch(products: readonly number[]): () => void {
    clearTimeout(this.ending);
    const before = this.names();
    for (const id of products) this.wanted.set(id, (this.wanted.get(id) ?? 0) + 1);
    if (this.names() !== before && !this.line.start()) {
      clearTimeout(this.asking);
      this.asking = setTimeout(() => this.ask(), GATHER_MS);
    }
    return () => this.leave(products);
  }

  /** True while levels arrive by themselves. */
  readonly isLive = (): boolean => this.live;
  readonly levels = (): Levels => this.told;
  readonly onChange = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  private leave(products: readonly number[]): void {
    for (const id of products) {
      const others = (this.wanted.get(id) ?? 1) - 1;
      if (others > 0) this.wanted.set(id, others);
      else this.wanted.delete(id);
    }
    clearTimeout(this.ending);
    if (this.wanted.size > 0) return;
    this.ending = setTimeout(() => {
      clearTimeout(this.asking);
      this.line.stop();
      this.forget();
    }, LINGER_MS);
  }

  private products(): number[] {
    return [...this.wanted.keys()].slice(0, WATCHED_MAX);
  }

  private names(): string {
    return this.products().join(" ");
  }

  private ask(): void {
    const products = this.products();
    this.line.send({ type: "watch", products });
    // Of the others nothing is told any more: what was told would grow old.
    this.told = new Map([...this.told].filter(([id]) => products.includes(id)));
  }

  private hear(frame: Frame): void {
    switch (frame.type) {
      case "watching":
        this.line.settled();
        this.live = true;
        break;
      case "stock":
        this.told = new Map(this.told).set(frame.product_id, frame);
        break;
      case "error":
        // The node watches enough already: it is asked again when the page changes, and meanwhile the page asks.
        this.forget();
        return;
      case "pong":
        return;
    }
    this.tell();
  }

  private forget(): void {
    this.live = false;
    this.told = NOTHING;
    this.tell();
  }

  private tell(): void {
    this.watchers.forEach((watcher) => watcher());
  }
}

/** True if a sale that was told of before now stands differently. */
export function hasMoved(before: Levels, now: Levels): boolean {
  return [...now.values()].some(({ product_id, sale_id, state }) => {
    const known = before.get(product_id);
    return known !== undefined && (known.sale_id !== sale_id || known.state !== state);
  });
}

interface Shown {
  id: number;
  product_id: number;
  stock: number;
  closed: boolean;
}

/** A sale with what was pushed about it since it was asked for. */
export function withLevel<T extends Shown>(sale: T, levels: Levels): T & { paused: boolean } {
  const level = levels.get(sale.product_id);
  if (level?.sale_id !== sale.id) return { ...sale, paused: false };
  return {
    ...sale,
    stock: level.left ?? sale.stock,
    closed: sale.closed || level.state === "closed",
    paused: level.state === "paused",
  };
}
