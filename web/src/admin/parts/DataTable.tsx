/**
 * A page of rows from the server: only those in sight are drawn. The server filters, sorts and pages; this shows what it
 * gave. On phones each row becomes a card that names its values.
 */
/* eslint-disable jsx-a11y/no-noninteractive-tabindex -- an area that scrolls has to be reachable by keyboard */
/* eslint-disable react-hooks/incompatible-library -- both hooks give unstable functions; nothing here is memoized on them */
import {
  flexRender,
  getCoreRowModel,
  useReactTable,
  type ColumnDef,
  type RowData,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { changed } from "../../lib/filters";
import { Empty, ErrorNote, LoadingBlocks } from "../../ui/Basics";
import type { IconName } from "../../ui/Icon";
import { Pager } from "../../ui/Pager";
import { AdminIcon } from "./AdminIcon";

declare module "@tanstack/react-table" {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- the library names both
  interface ColumnMeta<TData extends RowData, TValue> {
    /** A track of the grid, e.g. `minmax(120px, 1fr)`. */
    width?: string;
    align?: "end";
    /** What the server calls this order, if it can sort by this column. */
    sort?: { ascending?: string; descending?: string };
    /** Left out on phones. */
    isExtra?: boolean;
  }
}

export type Columns<Row> = ColumnDef<Row>[];

const ROW_HEIGHT = 52;
const USUAL_WIDTH = "minmax(110px, 1fr)";
/** Rows drawn beyond those in sight. */
const OVERSCAN = 8;

interface Page<Row> {
  list: readonly Row[];
  page: number;
  total: number;
  total_page: number;
}

interface Found<Row> {
  data: Page<Row> | undefined;
  error: unknown;
  isFetching: boolean;
  refetch: () => unknown;
}

interface TableProps<Row> {
  /** What the table lists, for screen readers. */
  label: string;
  columns: Columns<Row>;
  found: Found<Row>;
  rowKey: (row: Row) => string;
  empty: { icon: IconName; title: string; hint?: string };
  /** The order that is in force, in the server's words. */
  sort?: string;
}

export function DataTable<Row>({ found, empty, ...rest }: TableProps<Row>) {
  const { t } = useTranslation("admin");
  if (!found.data) {
    return found.error ? <ErrorNote error={found.error} onRetry={found.refetch} /> : <LoadingBlocks />;
  }
  const { list, page, total, total_page } = found.data;
  return (
    <div className="stack tight">
      {found.error !== null && <ErrorNote error={found.error} onRetry={found.refetch} />}
      <p className="small muted table-count" role="status">
        {t("table.total", { count: total })}
      </p>
      {list.length === 0 ? <Empty {...empty} /> : <Rows {...rest} rows={list} isStale={found.isFetching} />}
      <Pager page={page} total={total_page} />
    </div>
  );
}

/** Rows without paging, for lists that the server gives whole. */
export function Rows<Row>({
  label,
  columns,
  rows,
  rowKey,
  sort,
  isStale = false,
}: Pick<TableProps<Row>, "label" | "columns" | "rowKey" | "sort"> & {
  rows: readonly Row[];
  isStale?: boolean;
}) {
  const { t } = useTranslation("admin");
  const scroller = useRef<HTMLDivElement>(null);
  const data = useMemo(() => [...rows], [rows]);
  const table = useReactTable({ data, columns, getCoreRowModel: getCoreRowModel(), getRowId: rowKey });
  const model = table.getRowModel().rows;
  const virtual = useVirtualizer({
    count: model.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (index) => model[index]?.id ?? index,
    overscan: OVERSCAN,
  });
  const tracks = table.getVisibleLeafColumns().map(({ columnDef }) => columnDef.meta?.width ?? USUAL_WIDTH);
  return (
    <div
      className="table-area"
      ref={scroller}
      tabIndex={0}
      role="region"
      aria-label={t("table.area", { label })}
    >
      <div
        className={isStale ? "table stale" : "table"}
        role="table"
        aria-label={label}
        aria-rowcount={model.length + 1}
        style={{ "--tracks": tracks.join(" "), "--least": `${leastWidth(tracks)}px` } as React.CSSProperties}
      >
        <div role="rowgroup" className="table-head">
          {table.getHeaderGroups().map((group) => (
            <div role="row" aria-rowindex={1} className="table-row" key={group.id}>
              {group.headers.map(({ id, column, getContext }) => (
                <HeadCell key={id} meta={column.columnDef.meta} sort={sort}>
                  {flexRender(column.columnDef.header, getContext())}
                </HeadCell>
              ))}
            </div>
          ))}
        </div>
        <div role="rowgroup" className="table-body" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = model[item.index];
            if (!row) return null;
            return (
              <div
                role="row"
                aria-rowindex={item.index + 2}
                className="table-row"
                key={row.id}
                data-index={item.index}
                data-row={row.id}
                ref={virtual.measureElement}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                {row.getVisibleCells().map(({ id, column, getContext }) => {
                  const { header, cell, meta } = column.columnDef;
                  return (
                    <div role="cell" className={cellClass(meta)} key={id}>
                      {typeof header === "string" && header && (
                        <span className="cell-name" aria-hidden="true">
                          {header}
                        </span>
                      )}
                      <div className="cell-value">{flexRender(cell, getContext())}</div>
                    </div>
                  );
                })}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** Where the table begins to scroll sideways. Its content would say more: shares of the rest grow with the widest column. */
function leastWidth(tracks: readonly string[]): number {
  return tracks.reduce((sum, track) => sum + Number(/\d+(?=px)/.exec(track)?.[0] ?? 0), 0);
}

type Meta = NonNullable<ColumnDef<unknown>["meta"]>;

function cellClass(meta: Meta | undefined): string {
  return ["cell", meta?.align === "end" && "end", meta?.isExtra && "extra"].filter(Boolean).join(" ");
}

function HeadCell({
  meta,
  sort,
  children,
}: {
  meta: Meta | undefined;
  sort: string | undefined;
  children: ReactNode;
}) {
  const [params, setParams] = useSearchParams();
  const orders = meta?.sort;
  if (!orders) {
    return (
      <div role="columnheader" className={cellClass(meta)}>
        {children}
      </div>
    );
  }
  const isUp = sort !== undefined && sort === orders.ascending;
  const isDown = sort !== undefined && sort === orders.descending;
  // Descending first: the largest and the latest are what an operator looks for.
  const next =
    (isDown ? orders.ascending : orders.descending) ?? orders.descending ?? orders.ascending ?? null;
  return (
    <div
      role="columnheader"
      className={cellClass(meta)}
      aria-sort={isUp ? "ascending" : isDown ? "descending" : "none"}
    >
      <button
        type="button"
        className="sort"
        onClick={() => setParams(new URLSearchParams(changed(params, { sort: next })), { replace: true })}
      >
        {children}
        {(isUp || isDown) && <AdminIcon name={isUp ? "up" : "down"} size={15} />}
      </button>
    </div>
  );
}
