/** What pages ask the server for, under which keys it is remembered, and how fresh it has to be. */
import { QueryClient, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, dataOf } from "./client";
import { ApiError, isPassing } from "./error";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Product = Schemas["ProductView"];
export type Sale = Schemas["SaleJson"];
export type Order = Schemas["OrderJson"];
export type OrderDetail = Schemas["OrderDetail"];
export type Cart = Schemas["CartView"];
export type Address = Schemas["AddressView"];
export type SignInSession = Schemas["SessionView"];

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (failures, error) => isPassing(error) && failures < 3,
      retryDelay: (failures, error) => {
        const told = error instanceof ApiError ? error.details.retry_after_ms : undefined;
        return told ?? Math.min(4_000, 400 * 2 ** failures);
      },
    },
    mutations: { retry: false },
  },
});

export interface ProductFilter {
  page: number;
  keyword?: string;
  category?: string;
  min_price?: number;
  max_price?: number;
  sort?: string;
}

export const PRODUCTS_A_PAGE = 12;
export const ORDERS_A_PAGE = 10;
export const SALES_A_PAGE = 20;
/** How often the stock of open sales is looked at while somebody looks at it. */
const STOCK_EVERY_MS = 2_000;

export const productList = (filter: ProductFilter, page_size = PRODUCTS_A_PAGE) =>
  queryOptions({
    queryKey: ["products", filter, page_size],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/product", { params: { query: { ...filter, page_size } }, signal })),
    placeholderData: keepPreviousData,
  });

export const product = (id: number) =>
  queryOptions({
    queryKey: ["product", id],
    queryFn: ({ signal }) => dataOf(api.GET("/api/product/{id}", { params: { path: { id } }, signal })),
  });

export const categories = queryOptions({
  queryKey: ["categories"],
  queryFn: ({ signal }) => dataOf(api.GET("/api/category", { signal })),
  staleTime: 300_000,
});

export interface SaleFilter {
  page?: number;
  /** Sales of this product alone. */
  product_id?: number;
}

/** Begins the key of every list of sales. */
export const salesKey = ["sales"] as const;

/** Sales that are open or to come. */
export const sales = ({ page = 1, ...filter }: SaleFilter) =>
  queryOptions({
    queryKey: [...salesKey, { page, ...filter }],
    queryFn: ({ signal }) =>
      dataOf(
        api.GET("/api/seckill", {
          params: { query: { page, page_size: SALES_A_PAGE, ...filter } },
          signal,
        }),
      ),
    staleTime: 0,
    refetchInterval: STOCK_EVERY_MS,
  });

export const cart = (userId: number | null) =>
  queryOptions({
    queryKey: ["cart", userId],
    queryFn: ({ signal }) => dataOf(api.GET("/api/cart", { signal })),
  });

export const addresses = queryOptions({
  queryKey: ["mine", "addresses"],
  queryFn: ({ signal }) => dataOf(api.GET("/api/user/address", { signal })),
});

export const profile = queryOptions({
  queryKey: ["mine", "profile"],
  queryFn: ({ signal }) => dataOf(api.GET("/api/user/profile", { signal })),
});

export const devices = queryOptions({
  queryKey: ["mine", "devices"],
  queryFn: ({ signal }) => dataOf(api.GET("/api/auth/sessions", { signal })),
});

export const orderList = (filter: { page: number; status?: number }) =>
  queryOptions({
    queryKey: ["mine", "orders", filter],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/order", { params: { query: { ...filter, page_size: ORDERS_A_PAGE } }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 2_000,
  });

export const orderKey = (orderNo: string) => ["mine", "order", orderNo] as const;

export const order = (orderNo: string) =>
  queryOptions({
    queryKey: orderKey(orderNo),
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/order/{order_no}", { params: { path: { order_no: orderNo } }, signal })),
    staleTime: 2_000,
  });

export const payChannels = queryOptions({
  queryKey: ["pay-channels"],
  queryFn: ({ signal }) => dataOf(api.GET("/api/pay/channels", { signal })),
  staleTime: 300_000,
});
