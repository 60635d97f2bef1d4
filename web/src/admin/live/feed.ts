/**
 * One socket to `/ws/admin` for the whole console. It asks for exactly the topics that somebody on the page listens to, and
 * again after it broke; the newest frame of each topic is kept, for pages that open between two of them.
 */
import { Line, type LineState } from "../../live/line";
import type { Frame, Frames, Topic } from "./frames";

/** `refused`: this is no administrator any more. */
export type AdminFeedState = LineState | "refused";

type Listener<T extends Topic> = (frame: Frames[T]) => void;

const ROLE_TAKEN = 4403;

export class AdminFeed {
  private readonly line: Line<Frame>;
  private readonly listeners = new Map<Topic, Set<Listener<Topic>>>();
  private readonly latest = new Map<Topic, Frames[Topic]>();
  private readonly watchers = new Set<() => void>();
  private current: AdminFeedState = "off";

  constructor() {
    this.line = new Line("/ws/admin", {
      opened: () => this.subscribe([...this.listeners.keys()]),
      heard: (frame) => this.hear(frame),
      waiting: () => this.become("waiting"),
      isOver: (code) => {
        if (code === ROLE_TAKEN) this.become("refused");
        return code === ROLE_TAKEN;
      },
    });
  }

  start(): void {
    if (this.line.start()) this.become("waiting");
  }

  stop(): void {
    this.line.stop();
    this.latest.clear();
    this.become("off");
  }

  readonly state = (): AdminFeedState => this.current;

  readonly watchState = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /** Calls `listener` with every frame of a topic from now on. */
  on<T extends Topic>(topic: T, listener: Listener<T>): () => void {
    const told = listener as Listener<Topic>;
    const those = this.listeners.get(topic);
    if (those) {
      those.add(told);
    } else {
      this.listeners.set(topic, new Set([told]));
      this.subscribe([topic]);
    }
    return () => this.off(topic, told);
  }

  /** The newest frame of a topic that somebody listens to. */
  last<T extends Topic>(topic: T): Frames[T] | undefined {
    return this.latest.get(topic) as Frames[T] | undefined;
  }

  private off(topic: Topic, listener: Listener<Topic>): void {
    const those = this.listeners.get(topic);
    those?.delete(listener);
    if (those?.size !== 0) return;
    this.listeners.delete(topic);
    this.latest.delete(topic); // it would be old when somebody looks again
    this.line.send({ type: "unsubscribe", topics: [topic] });
  }

  private subscribe(topics: Topic[]): void {
    this.line.send({ type: "subscribe", topics });
  }

  private hear(frame: Frame): void {
    switch (frame.type) {
      case "welcome":
      case "subscribed":
        this.line.settled();
        this.become("live");
        break;
      case "vitals":
      case "metrics":
      case "events":
      case "alerts":
        this.latest.set(frame.type, frame);
        this.listeners.get(frame.type)?.forEach((listener) => listener(frame));
        break;
      case "error":
      case "pong":
        break;
    }
  }

  private become(state: AdminFeedState): void {
    if (this.current === state) return;
    this.current = state;
    this.watchers.forEach((watcher) => watcher());
  }
}
