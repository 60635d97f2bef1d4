/** Page, sort and filters of a table live in the address: a link, a reload or the back button restores what was seen. */
import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import { changed, pageOf } from "../../lib/filters";

export const ROWS_A_PAGE = 50;
const VALUE_MAX = 100;

export interface TableState<Name extends string> {
  page: number;
  sort: string;
  /** What is asked for by each filter; absent if nothing is. */
  filters: Partial<Record<Name, string>>;
  /** Changes filters or sort, which leads to the first page. */
  change: (changes: Partial<Record<Name | "sort", string | null>>) => void;
  clear: () => void;
}

export function useTableState<Name extends string>(
  names: readonly Name[],
  sortDefault = "",
): TableState<Name> {
  const [params, setParams] = useSearchParams();
  const list = names.join(" ");
  const filters = useMemo(() => {
    const found: Partial<Record<Name, string>> = {};
    for (const name of list.split(" ") as Name[]) {
      const value = params.get(name)?.trim().slice(0, VALUE_MAX);
      if (value) found[name] = value;
    }
    return found;
  }, [params, list]);
  const change = useCallback(
    (changes: Partial<Record<Name | "sort", string | null>>) =>
      setParams((now) => new URLSearchParams(changed(now, changes as Record<string, string | null>)), {
        replace: true,
        preventScrollReset: true,
      }),
    [setParams],
  );
  const clear = useCallback(
    () => change(Object.fromEntries(list.split(" ").map((name) => [name, null])) as never),
    [change, list],
  );
  return { page: pageOf(params), sort: params.get("sort") ?? sortDefault, filters, change, clear };
}
