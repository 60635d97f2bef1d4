/** Every address of the client (src/http/web_client.rs serves the page at each). All but the first page load when needed. */
import type { ComponentType } from "react";
import { Navigate, createBrowserRouter, type RouteObject } from "react-router";
import { adminRoutes } from "../admin/routes";
import { Home } from "../pages/Home";
import { LoadingBlocks } from "../ui/Basics";
import { Layout } from "./Layout";
import { Crashed, NotFound } from "./Problems";
import { RequireSignIn } from "./RequireSignIn";

function page(load: () => Promise<ComponentType>) {
  return async () => ({ Component: await load() });
}

const forSignedIn: RouteObject[] = [
  { path: "checkout", lazy: page(async () => (await import("../pages/Checkout")).Checkout) },
  { path: "orders", lazy: page(async () => (await import("../pages/Orders")).Orders) },
  { path: "orders/:orderNo", lazy: page(async () => (await import("../pages/OrderPage")).OrderPage) },
  { path: "orders/:orderNo/pay", lazy: page(async () => (await import("../pages/Pay")).Pay) },
  {
    path: "account",
    lazy: page(async () => (await import("../pages/account/Account")).Account),
    children: [
      { index: true, element: <Navigate to="profile" replace /> },
      { path: "profile", lazy: page(async () => (await import("../pages/account/Profile")).Profile) },
      { path: "addresses", lazy: page(async () => (await import("../pages/account/Addresses")).Addresses) },
      { path: "password", lazy: page(async () => (await import("../pages/account/Password")).Password) },
      { path: "devices", lazy: page(async () => (await import("../pages/account/Devices")).Devices) },
    ],
  },
];

const HydrateFallback = () => (
  <div className="inner main">
    <LoadingBlocks />
  </div>
);

export const router = createBrowserRouter([
  { errorElement: <Crashed />, HydrateFallback, children: adminRoutes },
  {
    element: <Layout />,
    errorElement: <Crashed />,
    HydrateFallback,
    children: [
      {
        errorElement: <Crashed />,
        children: [
          { index: true, Component: Home },
          { path: "products", lazy: page(async () => (await import("../pages/Products")).Products) },
          {
            path: "products/:id",
            lazy: page(async () => (await import("../pages/ProductPage")).ProductPage),
          },
          { path: "flash", lazy: page(async () => (await import("../pages/Flash")).Flash) },
          { path: "cart", lazy: page(async () => (await import("../pages/Cart")).CartPage) },
          { path: "sign-in", lazy: page(async () => (await import("../pages/SignIn")).SignIn) },
          { path: "register", lazy: page(async () => (await import("../pages/Register")).Register) },
          { element: <RequireSignIn />, children: forSignedIn },
          { path: "*", Component: NotFound },
        ],
      },
    ],
  },
]);
