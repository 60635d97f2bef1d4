/** What the console asks the server for. Keys begin with `admin`, so that signing out forgets them all. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, dataOf } from "../api/client";
import type { components } from "../api/schema";
import type { Vitals } from "./live/frames";
import { ROWS_A_PAGE } from "./parts/useTableState";

type Schemas = components["schemas"];
export type AdminOrder = Schemas["AdminOrderJson"];
export type OrderRow = Schemas["OrderJson"];
export type Payment = Schemas["AdminOrderJson"]["payments"][number];
export type Refund = Schemas["AdminOrderJson"]["refunds"][number];
export type Run = Schemas["RunJson"];
export type Difference = Schemas["PageOf_DifferenceJson"]["list"][number];
export type DeadTicket = Schemas["DeadTicketJson"];
export type DeadMessage = Schemas["DeadMessageJson"];
export type DeadWebhook = Schemas["DeadWebhookJson"];

export interface Page<Row> {
  list: Row[];
  page: number;
  page_size: number;
  total: number;
  total_page: number;
}

/** A list over all nodes says who did not answer. */
export interface NodesPage<Row> extends Page<Row> {
  no_answer: string[];
}

export interface DeadLetter {
  id: number;
  node: string;
  kind: string;
  key: string;
  at_ms: number;
  reason: string;
  message: string;
}

/** A message that an actor took, or that left it untaken. */
export interface RecentMessage {
  message: string;
  at_ms: number;
  waited_us: number;
  /** Null if it was never begun. */
  took_us: number | null;
  outcome: string;
}

/** An actor as a node that has it in memory describes it. */
export interface OnNode {
  node: string;
  vitals: Vitals;
  /** Latest first; a node of an older release does not say. */
  recent?: RecentMessage[];
  /** What it says of itself; null if it did not answer in time. */
  state_data: unknown;
  /** Why it did not. */
  note: string | null;
}

export interface Inspection extends OnNode {
  nodes: OnNode[];
  no_answer: string[];
}

type Query = Record<string, string | number | boolean | undefined>;

/** The page of a table: filters as they stand in the address, without what is empty. */
function query(filters: Query, page: number) {
  const wanted = Object.entries(filters).filter(([, value]) => value !== undefined && value !== "");
  return { ...Object.fromEntries(wanted), page, page_size: ROWS_A_PAGE };
}

/** Of answers that our description only calls objects: what docs/API.md says of them. */
function told<T>(answer: Promise<{ data?: unknown; error?: unknown; response: Response }>): Promise<T> {
  return dataOf(answer as Promise<{ data?: { code: number; data: T }; error?: unknown; response: Response }>);
}

/** How often lists are looked at again while somebody looks at them; what is pushed needs no asking. */
export const LIST_EVERY_MS = 5_000;
const ACTORS_EVERY_MS = 2_000;

export const actorList = (filters: Query, page: number) =>
  queryOptions({
    queryKey: ["admin", "actors", filters, page],
    queryFn: ({ signal }) =>
      told<NodesPage<Vitals & { node: string }>>(
        api.GET("/api/admin/actors", { params: { query: query(filters, page) }, signal }),
      ),
    placeholderData: keepPreviousData,
    refetchInterval: ACTORS_EVERY_MS,
    staleTime: 0,
  });

export const actorKey = (kind: string, key: string) => ["admin", "actor", kind, key] as const;

export const actor = (kind: string, key: string) =>
  queryOptions({
    queryKey: actorKey(kind, key),
    queryFn: ({ signal }) =>
      told<Inspection>(
        api.GET("/api/admin/actors/{kind}/{key}", { params: { path: { kind, key } }, signal }),
      ),
    refetchInterval: ACTORS_EVERY_MS,
    staleTime: 0,
    retry: false,
  });

export const deadLetters = (filters: Query, page: number) =>
  queryOptions({
    queryKey: ["admin", "dead-letters", filters, page],
    queryFn: ({ signal }) =>
      told<NodesPage<DeadLetter>>(
        api.GET("/api/admin/dead-letters", { params: { query: query(filters, page) }, signal }),
      ),
    placeholderData: keepPreviousData,
    refetchInterval: LIST_EVERY_MS,
    staleTime: 0,
  });

export const orderList = (filters: Query, page: number) =>
  queryOptions({
    queryKey: ["admin", "orders", filters, page],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/orders", { params: { query: query(filters, page) }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: LIST_EVERY_MS,
    staleTime: 1_000,
  });

/** How many orders wait for a human, where no node pushes that. */
export const reviewCount = queryOptions({
  queryKey: ["admin", "orders", "review-count"],
  queryFn: async ({ signal }) => {
    const wanted = { needs_review: true, page_size: 1 };
    return (await dataOf(api.GET("/api/admin/orders", { params: { query: wanted }, signal }))).total;
  },
  refetchInterval: LIST_EVERY_MS,
});

export const orderKey = (orderNo: string) => ["admin", "order", orderNo] as const;

export const order = (orderNo: string) =>
  queryOptions({
    queryKey: orderKey(orderNo),
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/orders/{order_no}", { params: { path: { order_no: orderNo } }, signal })),
    refetchInterval: LIST_EVERY_MS,
    staleTime: 1_000,
  });

export const paymentList = (filters: Query, page: number) =>
  queryOptions({
    queryKey: ["admin", "payments", filters, page],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/payments", { params: { query: query(filters, page) }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: LIST_EVERY_MS,
  });

export const refundList = (filters: Query, page: number) =>
  queryOptions({
    queryKey: ["admin", "refunds", filters, page],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/refunds", { params: { query: query(filters, page) }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: LIST_EVERY_MS,
  });

export const runList = (filters: Query, page: number) =>
  queryOptions({
    queryKey: ["admin", "runs", filters, page],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/reconciliation", { params: { query: query(filters, page) }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: LIST_EVERY_MS,
  });

export const run = (id: string, filters: Query, page: number) =>
  queryOptions({
    queryKey: ["admin", "run", id, filters, page],
    queryFn: ({ signal }) =>
      dataOf(
        api.GET("/api/admin/reconciliation/{id}", {
          params: { path: { id }, query: query(filters, page) },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    refetchInterval: LIST_EVERY_MS,
  });

/** Sales that run or are near; what is left of them is pushed. */
export const salesNow = queryOptions({
  queryKey: ["admin", "sales-now"],
  queryFn: ({ signal }) => dataOf(api.GET("/api/seckill", { params: { query: { page_size: 50 } }, signal })),
  refetchInterval: LIST_EVERY_MS,
});

export const deadTickets = (page: number) =>
  queryOptions({
    queryKey: ["admin", "dead-tickets", page],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/dead-tickets", { params: { query: query({}, page) }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: LIST_EVERY_MS,
  });

export const deadMessages = (page: number) =>
  queryOptions({
    queryKey: ["admin", "dead-messages", page],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/dead-messages", { params: { query: query({}, page) }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: LIST_EVERY_MS,
  });

export const deadWebhooks = (page: number) =>
  queryOptions({
    queryKey: ["admin", "dead-webhooks", page],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/webhooks/dead", { params: { query: query({}, page) }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: LIST_EVERY_MS,
  });
