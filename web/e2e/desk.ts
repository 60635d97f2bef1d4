/** What the tests of the console share: the administrator, and pages with something on them. */
import { inject } from "vitest";
import { call, fresh, newBuyer, newProduct, newSale, type Buyer } from "./support";

export const administrator = fresh<Buyer>(async () => {
  const form = { username: "e2e-admin", password: inject("adminPassword") };
  return {
    ...form,
    ...(await call<Omit<Buyer, "username" | "password">>("POST", "/api/user/login", "", form)),
  };
});

/** Long names and prices of eight digits are where layouts break. */
export async function deskPages(): Promise<string[]> {
  const long = await newProduct({
    name: "超长名称".repeat(20) + "UnbreakableProductNameWithoutAnySpaces".repeat(2),
    price: 12_345_678.9,
    stock: 12_345_678,
    description: "介绍".repeat(200),
    images: ["/photos/tea.svg", "/photos/none.jpg"],
    attributes: { 很长的属性名称: "很长的属性值".repeat(12), Size: { width: 3 } },
  });
  const { saleId } = await newSale(99_999_999, {
    name: "八位数价格的秒杀商品名称也可以非常非常长".repeat(3),
    price: 98_765_432.1,
    stock: 100_000_000,
  });
  const buyer = await newBuyer();
  return [
    "/admin/products",
    "/admin/products?keyword=nothing-is-called-so",
    "/admin/products/new",
    `/admin/products/${long.id}`,
    "/admin/categories",
    "/admin/stock",
    `/admin/stock/${long.id}`,
    "/admin/sales",
    "/admin/sales?state=closed&keyword=nothing-is-called-so",
    `/admin/sales/new?product=${long.id}`,
    `/admin/sales/${saleId}`,
    "/admin/statistics",
    "/admin/users",
    `/admin/users/${buyer.user.id}`,
    "/admin/audit-log",
    "/admin/audit-log?action=nothing.such",
    "/admin/webhooks",
    "/admin/nodes",
    "/admin/settings",
  ];
}
