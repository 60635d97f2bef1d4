/** The audit log's entries: where their target is shown, and how their details read. Pure. */

/** The page of `sale 7`, `product 3`, `user 12` or `order 01K…`; null for what has none. */
export function pageOf(target: string): string | null {
  const [kind = "", key = ""] = target.split(" ");
  if (!/^\w+$/.test(key)) return null;
  switch (kind) {
    case "product":
      return `/admin/products/${key}`;
    case "sale":
      return `/admin/sales/${key}`;
    case "user":
      return `/admin/users/${key}`;
    case "order":
      return `/admin/orders/${key}`;
    default:
      return null;
  }
}

/** `name: value` of the outermost fields that say something, in one line; texts without quotes. */
export function brief(detail: unknown): string {
  if (detail === null || detail === undefined) return "";
  if (typeof detail !== "object") return plain(detail);
  return Object.entries(detail)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name}: ${plain(value)}`)
    .join(" · ");
}

function plain(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export interface ActFilter {
  action?: string;
  actor_id?: number;
  target?: string;
  from?: string;
  to?: string;
  failures?: boolean;
}

const DAY = /^\d{4}-\d\d-\d\d$/;

export const ACT_FILTERS = ["action", "actor", "target", "from", "to", "failures"] as const;
type Filters = Partial<Record<(typeof ACT_FILTERS)[number], string>>;

/** What the server is asked for; days are whole days of the reader's zone. */
export function readFilter(filters: Filters): ActFilter {
  const { action, target, actor = "", failures } = filters;
  const from = dayStart(filters.from ?? "", 0);
  const to = dayStart(filters.to ?? "", 1);
  return {
    ...(action && { action }),
    ...(/^[1-9]\d{0,15}$/.test(actor) && { actor_id: Number(actor) }),
    ...(target && { target }),
    ...(from && { from }),
    ...(to && { to }),
    ...(failures === "true" && { failures: true }),
  };
}

function dayStart(text: string, daysLater: number): string | undefined {
  if (!DAY.test(text)) return undefined;
  const at = new Date(`${text}T00:00:00`);
  if (Number.isNaN(at.getTime())) return undefined;
  at.setDate(at.getDate() + daysLater);
  return at.toISOString();
}
