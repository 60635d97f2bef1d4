/** What `/ws/admin` tells (docs/API.md, "Live, for administrators"). */

export type Topic = "vitals" | "events" | "alerts" | "metrics";

export interface Vitals {
  kind: string;
  key: string;
  /** Where it lives; the node's own lists leave it out. */
  node?: string;
  state: string;
  queued: number;
  in_flight: number;
  handled: number;
  restarts: number;
  incarnation: number;
  age_ms: number;
  idle_ms: number;
  busy_ms: number;
  handling_max_us: number;
  handling_mean_us: number;
  queue_wait_max_us: number;
  last_error: string | null;
}

export interface KindVitals {
  handled: number;
  in_flight: number;
  queued: number;
  restarts: number;
  states: Partial<Record<string, number>>;
}

export interface NodeVitals {
  node: string;
  drained: boolean;
  dead_letters: number;
  kinds: Partial<Record<string, KindVitals>>;
  /** Those with most waiting messages. */
  actors: Vitals[];
}

export interface ActorEvent {
  seq: number;
  node: string;
  kind: string;
  key: string;
  what: string;
  detail: string | null;
  at_ms: number;
}

export interface Alert {
  id: string;
  kind: string;
  subject: string;
  severity: string;
  text: string;
  /** What subject and text tell, by name; missing from a node of an older release. */
  facts?: Record<string, string | number | null>;
  node: string;
  raised_at_ms: number;
  resolved_at_ms?: number | null;
  told?: number;
}

interface Told {
  at: string;
  /** Nodes that were silent. */
  no_answer: string[];
}

export interface Frames {
  vitals: Told & { type: "vitals"; nodes: NodeVitals[] };
  metrics: Told & {
    type: "metrics";
    nodes: {
      node: string;
      metrics: Record<string, number> | null;
      latency?:
        | {
            method: string;
            route: string;
            bounds_s: number[];
            /** One more than bounds. */
            counts: number[];
          }[]
        | null;
    }[];
  };
  events: Told & { type: "events"; events: ActorEvent[]; missed: number };
  alerts: Told & { type: "alerts"; open: Alert[]; ended: Alert[] };
}

export type Frame =
  | Frames[Topic]
  | { type: "welcome"; server_time: string }
  | { type: "subscribed"; topics: Topic[] }
  | { type: "pong"; server_time: string }
  | { type: "error"; code: number; message: string };
