/** Where an administrator goes with an alert. */
import type { Alert } from "../live/frames";

export function placeOf({ kind, subject }: Pick<Alert, "kind" | "subject">): string | null {
  const [actorKind, key] = subject.split(/[ /]/);
  switch (kind) {
    case "quarantine":
      return actorKind && key
        ? `/admin/actors/${actorKind}/${encodeURIComponent(key)}`
        : "/admin/actors?state=quarantined";
    case "dead_letters":
      return "/admin/dead";
    case "dead_tickets":
      return "/admin/dead/tickets";
    case "needs_review":
      return "/admin/orders?needs_review=true";
    case "low_stock":
    case "drift": {
      const product = /\d+/.exec(subject)?.[0];
      return product ? `/admin/actors/inventory/${product}` : null;
    }
    case "circuit_open":
      return "/admin/payments";
    default:
      return null;
  }
}
