/** The sections of the console, in the order of the navigation. */
import { deskRoutes } from "./desk/routes";
import type { AdminIconName } from "./parts/AdminIcon";

export interface Place {
  /** Below /admin; empty: the first page. */
  path: string;
  /** Its name in the texts, below `nav`. */
  name: (typeof PLACES)[number]["places"][number][0];
  icon: AdminIconName;
}

const PLACES = [
  {
    group: "run",
    places: [
      ["dashboard", "", "dashboard"],
      ["actors", "actors", "actors"],
      ["alerts", "alerts", "bell"],
      ["dead", "dead", "dead"],
    ],
  },
  {
    group: "trade",
    places: [
      ["orders", "orders", "orders"],
      ["payments", "payments", "payments"],
      ["reconciliation", "reconciliation", "scales"],
    ],
  },
  {
    group: "goods",
    places: [
      ["sales", "sales", "sales"],
      ["products", "products", "products"],
      ["categories", "categories", "categories"],
      ["stock", "stock", "stock"],
    ],
  },
  {
    group: "system",
    places: [
      ["statistics", "statistics", "statistics"],
      ["users", "users", "users"],
      ["audit", "audit-log", "audit"],
      ["webhooks", "webhooks", "webhooks"],
      ["nodes", "nodes", "nodes"],
      ["settings", "settings", "settings"],
    ],
  },
] as const;

const OWN: readonly string[] = ["", "actors", "alerts", "dead", "orders", "payments", "reconciliation"];

/** The part of a route's path that names its section. */
const first = (path: string | undefined) => path?.split("/")[0];

/** Groups of sections that have pages. */
export function sections() {
  const there = [...OWN, ...deskRoutes.map(({ path }) => first(path))];
  return PLACES.map(({ group, places }) => ({
    group,
    places: places
      .filter(([, path]) => there.includes(path))
      .map(([name, path, icon]): Place => ({ name, path, icon })),
  })).filter(({ places }) => places.length > 0);
}
