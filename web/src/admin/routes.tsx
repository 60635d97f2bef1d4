/** The console's pages below /admin; its frame, its texts and its styles are loaded by administrators alone. */
import type { RouteObject } from "react-router";
import { addTexts } from "../i18n";
import { deskRoutes } from "./desk/routes";
import { page } from "./page";

async function console() {
  const [{ Console }] = await Promise.all([
    import("./Console"),
    addTexts("admin", async (lang) =>
      lang === "zh" ? (await import("../i18n/admin.zh")).adminZh : (await import("../i18n/admin.en")).adminEn,
    ),
    addTexts("desk", async (lang) =>
      lang === "zh" ? (await import("../i18n/desk.zh")).deskZh : (await import("../i18n/desk.en")).deskEn,
    ),
  ]);
  return Console;
}

export const adminRoutes: RouteObject[] = [
  {
    path: "admin",
    lazy: page(console),
    children: [
      { index: true, lazy: page(async () => (await import("./dashboard/Dashboard")).Dashboard) },
      { path: "actors", lazy: page(async () => (await import("./actors/Actors")).Actors) },
      { path: "actors/:kind/:key", lazy: page(async () => (await import("./actors/ActorPage")).ActorPage) },
      { path: "alerts", lazy: page(async () => (await import("./alerts/AlertsPage")).AlertsPage) },
      { path: "dead", lazy: page(async () => (await import("./dead/Dead")).Letters) },
      { path: "dead/tickets", lazy: page(async () => (await import("./dead/Dead")).Tickets) },
      { path: "dead/messages", lazy: page(async () => (await import("./dead/Dead")).Messages) },
      { path: "dead/webhooks", lazy: page(async () => (await import("./dead/Dead")).Webhooks) },
      { path: "orders", lazy: page(async () => (await import("./orders/Orders")).Orders) },
      { path: "orders/:orderNo", lazy: page(async () => (await import("./orders/OrderPage")).OrderPage) },
      { path: "payments", lazy: page(async () => (await import("./money/Payments")).Payments) },
      { path: "payments/refunds", lazy: page(async () => (await import("./money/Payments")).Refunds) },
      {
        path: "reconciliation",
        lazy: page(async () => (await import("./money/Reconciliation")).Reconciliation),
      },
      { path: "reconciliation/:id", lazy: page(async () => (await import("./money/RunPage")).RunPage) },
      ...deskRoutes,
      { path: "*", lazy: page(async () => (await import("./NoSuchPage")).NoSuchPage) },
    ],
  },
];
