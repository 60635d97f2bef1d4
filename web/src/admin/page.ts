/** Pages of the console load when they are opened. */
import type { ComponentType } from "react";

export function page(load: () => Promise<ComponentType>) {
  return async () => ({ Component: await load() });
}
