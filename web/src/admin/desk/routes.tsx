/** The console's pages of products, stock, sales, people and settings. A section whose path is here stands in the navigation. */
import type { ComponentType } from "react";
import type { RouteObject } from "react-router";
import { page } from "../page";

/** With the styles of these pages, which no other part of the client needs. */
const desk = (load: () => Promise<ComponentType>) =>
  page(async () => {
    const [component] = await Promise.all([load(), import("../../styles/desk.css")]);
    return component;
  });

export const deskRoutes: RouteObject[] = [
  { path: "products", lazy: desk(async () => (await import("./products/Products")).Products) },
  { path: "products/new", lazy: desk(async () => (await import("./products/NewProduct")).NewProduct) },
  { path: "products/:id", lazy: desk(async () => (await import("./products/ProductPage")).ProductPage) },
  { path: "categories", lazy: desk(async () => (await import("./categories/Categories")).Categories) },
  { path: "stock", lazy: desk(async () => (await import("./stock/Stock")).Stock) },
  { path: "stock/:id", lazy: desk(async () => (await import("./stock/StockPage")).StockPage) },
  { path: "sales", lazy: desk(async () => (await import("./sales/Sales")).Sales) },
  { path: "sales/new", lazy: desk(async () => (await import("./sales/NewSale")).NewSale) },
  { path: "sales/:id", lazy: desk(async () => (await import("./sales/SalePage")).SalePage) },
  { path: "statistics", lazy: desk(async () => (await import("./operations/Statistics")).Statistics) },
  { path: "users", lazy: desk(async () => (await import("./users/Users")).Users) },
  { path: "users/:id", lazy: desk(async () => (await import("./users/UserPage")).UserPage) },
  { path: "audit-log", lazy: desk(async () => (await import("./operations/AuditLog")).AuditLog) },
  { path: "webhooks", lazy: desk(async () => (await import("./operations/Webhooks")).Webhooks) },
  { path: "settings", lazy: desk(async () => (await import("./operations/Settings")).Settings) },
  { path: "nodes", lazy: desk(async () => (await import("./operations/Nodes")).Nodes) },
];
