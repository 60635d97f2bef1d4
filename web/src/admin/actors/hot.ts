import type { NodeVitals, Vitals } from "../live/frames";

/** The busiest of all nodes: most waiting first, then those that handled most. */
export function hottest(nodes: readonly NodeVitals[], most: number): (Vitals & { node: string })[] {
  const all = nodes.flatMap(({ node, actors }) => actors.map((actor) => ({ ...actor, node })));
  const waiting = (actor: Vitals) => actor.queued + actor.in_flight;
  return all.sort((a, b) => waiting(b) - waiting(a) || b.handled - a.handled).slice(0, most);
}
