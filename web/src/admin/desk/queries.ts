/** What these pages ask the server for, and under which keys it is remembered: all below `desk`. */
import { queryOptions } from "@tanstack/react-query";
import { api, dataOf } from "../../api/client";
import type { components, paths } from "../../api/schema";
import { ROWS_A_PAGE } from "../parts/useTableState";

type Schemas = components["schemas"];
export type Product = Schemas["ProductView"];
export type AdminProduct = Schemas["AdminProductJson"];
export type StockBook = Schemas["StockJson"];
export type Pool = Schemas["PoolJson"];
export type Movement = StockBook["movements"]["list"][number];
export type Sale = Schemas["SaleJson"];
export type AdminSale = Schemas["AdminSaleJson"];
export type SaleDetail = Schemas["AdminSaleDetail"];
export type User = Schemas["UserView"];
export type AdminUser = Schemas["AdminUserJson"];
export type Act = Schemas["AuditJson"];
export type SignIn = Schemas["SessionView"];
export type DailyFigures = Schemas["DailyStatistics"];
export type WebhookTarget = Schemas["WebhookTargetJson"];
export type DeadWebhook = Schemas["DeadWebhookJson"];

type QueryOf<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Query } } }
  ? NonNullable<Query>
  : never;

/** How often a sale is looked at while its page is open. */
const SALE_EVERY_MS = 2_000;

export const keys = {
  products: ["desk", "products"],
  product: (id: number) => ["desk", "product", id],
  stock: (id: number) => ["desk", "stock", id],
  sales: ["desk", "sales"],
  sale: (id: number) => ["desk", "sale", id],
  users: ["desk", "users"],
  user: (id: number) => ["desk", "user", id],
  signIns: (id: number) => ["desk", "sign-ins", id],
  acts: ["desk", "acts"],
  webhooks: ["desk", "webhooks"],
  nodes: ["desk", "nodes"],
  settings: ["desk", "settings"],
  statistics: ["desk", "statistics"],
} as const;

export const listProducts = (query: QueryOf<"/api/admin/products">, signal: AbortSignal) =>
  dataOf(api.GET("/api/admin/products", { params: { query: { page_size: ROWS_A_PAGE, ...query } }, signal }));

/** As it is now, on the shelf or off. */
export const productQuery = (id: number) =>
  queryOptions({
    queryKey: keys.product(id),
    queryFn: ({ signal }) => dataOf(api.GET("/api/product/{id}", { params: { path: { id } }, signal })),
  });

export const stockQuery = (id: number, page: number) =>
  queryOptions({
    queryKey: [...keys.stock(id), page],
    queryFn: ({ signal }) => {
      const query = { page, page_size: ROWS_A_PAGE };
      return dataOf(api.GET("/api/admin/products/{id}/stock", { params: { path: { id }, query }, signal }));
    },
    staleTime: 0,
  });

export const listSales = (query: QueryOf<"/api/admin/sales">, signal: AbortSignal) =>
  dataOf(api.GET("/api/admin/sales", { params: { query: { page_size: ROWS_A_PAGE, ...query } }, signal }));

export const saleQuery = (id: number) =>
  queryOptions({
    queryKey: keys.sale(id),
    queryFn: ({ signal }) => dataOf(api.GET("/api/admin/sales/{id}", { params: { path: { id } }, signal })),
    refetchInterval: SALE_EVERY_MS,
  });

export const listUsers = (query: QueryOf<"/api/admin/users">, signal: AbortSignal) =>
  dataOf(api.GET("/api/admin/users", { params: { query: { page_size: ROWS_A_PAGE, ...query } }, signal }));

export const userQuery = (id: number) =>
  queryOptions({
    queryKey: keys.user(id),
    queryFn: ({ signal }) => dataOf(api.GET("/api/admin/users/{id}", { params: { path: { id } }, signal })),
    staleTime: 0,
  });

export const signInsQuery = (id: number) =>
  queryOptions({
    queryKey: keys.signIns(id),
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/users/{id}/sessions", { params: { path: { id } }, signal })),
    staleTime: 0,
  });

type Params = Partial<Schemas["CommandParams"]>;

/** A command of one kind of actor; what it answers depends on the word (docs/API.md). */
export function command<Answer>(
  kind: string,
  key: number | string,
  word: string,
  idempotencyKey: string,
  params: Params = {},
): Promise<Answer> {
  const path = { kind, key: String(key), command: word };
  const sent = api.POST("/api/admin/actors/{kind}/{key}/{command}", {
    params: { path, header: { "Idempotency-Key": idempotencyKey } },
    body: { reason: "", ...params },
  });
  return dataOf(sent) as unknown as Promise<Answer>;
}
