/** The filters of the list, which live in the address: a link or the back button restores exactly what was seen. */
import type { ProductFilter } from "../api/queries";

export const SORTS = ["default", "newest", "sales", "price_asc", "price_desc", "rating"] as const;
export type Sort = (typeof SORTS)[number];

const MONEY = /^\d{1,8}(\.\d{1,2})?$/;

function amount(text: string | null): number | undefined {
  return text && MONEY.test(text) ? Number(text) : undefined;
}

export function isAmount(text: string): boolean {
  return MONEY.test(text);
}

/** A page number somebody may have mistyped. */
export function pageOf(params: URLSearchParams): number {
  const page = Number(params.get("page"));
  return Number.isInteger(page) && page >= 1 && page <= 1_000_000 ? page : 1;
}

/** The product that an address names, if it can be one. */
export function productOf(params: URLSearchParams): number | undefined {
  const id = Number(params.get("product"));
  return Number.isSafeInteger(id) && id >= 1 ? id : undefined;
}

export function sortOf(params: URLSearchParams): Sort {
  return SORTS.find((sort) => sort === params.get("sort")) ?? "default";
}

export function readFilter(params: URLSearchParams): ProductFilter {
  const keyword = params.get("keyword")?.trim().slice(0, 100);
  const category = params.get("category") ?? "";
  const sort = sortOf(params);
  const min = amount(params.get("min_price"));
  const max = amount(params.get("max_price"));
  return {
    page: pageOf(params),
    ...(keyword && { keyword }),
    ...(/^\d+$/.test(category) && { category }),
    ...(min !== undefined && { min_price: min }),
    ...(max !== undefined && { max_price: max }),
    ...(sort !== "default" && { sort }),
  };
}

/** The address with one thing changed; any change but that of the page leads to the first page. */
export function changed(params: URLSearchParams, changes: Record<string, string | null>): string {
  const next = new URLSearchParams(params);
  if (!("page" in changes)) next.delete("page");
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const text = next.toString();
  return text ? `?${text}` : "?";
}

export function hasFilters(filter: ProductFilter): boolean {
  const { keyword, category, min_price, max_price } = filter;
  return [keyword, category, min_price, max_price].some((value) => value !== undefined);
}
