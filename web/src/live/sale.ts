/** How a sale stands by the server's clock; the server judges each click again. */

export type Stage = "upcoming" | "open" | "soldOut" | "over";

interface Window {
  start_at: string;
  end_at: string;
  closed: boolean;
  stock: number;
}

export function saleStage(sale: Window, now: number): Stage {
  if (sale.closed || now >= Date.parse(sale.end_at)) return "over";
  if (now < Date.parse(sale.start_at)) return "upcoming";
  return sale.stock > 0 ? "open" : "soldOut";
}

/** Open ones first, then those that come, then what is gone; each by its next moment. */
export function inOrder<T extends Window>(sales: readonly T[], now: number): T[] {
  const rank: Record<Stage, number> = { open: 0, upcoming: 1, soldOut: 2, over: 3 };
  const key = (sale: T) => rank[saleStage(sale, now)];
  return [...sales].sort((a, b) => key(a) - key(b) || Date.parse(a.start_at) - Date.parse(b.start_at));
}

interface Listed extends Window {
  id: number;
  product_id: number;
}

const anchor = (id: number) => `sale-${id}`;

/** Where a sale is shown, on whichever page of the list it stands. */
export function saleAddress({ id, product_id }: Pick<Listed, "id" | "product_id">, page = 1): string {
  return `/flash?product=${product_id}${page > 1 ? `&page=${page}` : ""}#${anchor(id)}`;
}

/** A page of the list in order; the sale that an address leads to comes first if it stands on another page. */
export function pageWith<T extends Listed>(page: readonly T[], wanted: T | undefined, now: number): T[] {
  const list = inOrder(page, now);
  return wanted && !list.some(({ id }) => id === wanted.id) ? [wanted, ...list] : list;
}

/** Of a product's sales the one that the address names, else the first that can be bought. */
export function wantedOf<T extends Listed>(
  sales: readonly T[],
  productId: number,
  hash: string,
  now: number,
): T | undefined {
  // A node of an older release tells of other products as well.
  const own = inOrder(
    sales.filter((sale) => sale.product_id === productId),
    now,
  );
  return own.find(({ id }) => hash === `#${anchor(id)}`) ?? own[0];
}
