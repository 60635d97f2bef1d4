/** Columns that many tables have: what a row is about, units, money, moments, words of a state. */
import type { ColumnDef } from "@tanstack/react-table";
import { Link } from "react-router";
import { Price } from "../../ui/Basics";
import { Count, When } from "./Parts";

type Column<Row> = ColumnDef<Row>;
type Meta<Row> = NonNullable<Column<Row>["meta"]>;

/** A number at the end of its column. */
export function countColumn<Row>(
  id: string,
  header: string,
  of: (row: Row) => number,
  meta: Meta<Row> = {},
): Column<Row> {
  return {
    id,
    header,
    meta: { width: "minmax(80px, 0.7fr)", align: "end", ...meta },
    cell: ({ row }) => <Count of={of(row.original)} />,
  };
}

export function moneyColumn<Row>(
  id: string,
  header: string,
  of: (row: Row) => number,
  meta: Meta<Row> = {},
): Column<Row> {
  return {
    id,
    header,
    meta: { width: "minmax(144px, 0.7fr)", align: "end", ...meta },
    cell: ({ row }) => <Price amount={of(row.original)} plain />,
  };
}

/** The moment itself, not how long ago it was: rows are compared. */
export function whenColumn<Row>(
  id: string,
  header: string,
  of: (row: Row) => string | number | null | undefined,
  meta: Meta<Row> = {},
): Column<Row> {
  return {
    id,
    header,
    meta: { width: "minmax(183px, 0.8fr)", ...meta },
    cell: ({ row }) => <When at={of(row.original)} exact />,
  };
}

export function orderColumn<Row extends { order_no: string }>(header: string): Column<Row> {
  return {
    id: "order",
    header,
    meta: { width: "minmax(224px, 1.2fr)" },
    cell: ({ row: { original } }) => (
      <Link className="mono" to={`/admin/orders/${original.order_no}`}>
        {original.order_no}
      </Link>
    ),
  };
}

export function actorColumn<Row extends { kind: string; key: string }>(
  header: string,
  meta: Meta<Row>,
): Column<Row> {
  return {
    id: "actor",
    header,
    meta,
    cell: ({ row: { original } }) => (
      <Link className="mono" to={`/admin/actors/${original.kind}/${encodeURIComponent(original.key)}`}>
        {original.kind} {original.key}
      </Link>
    ),
  };
}

export function nodeColumn<Row extends { node: string }>(header: string): Column<Row> {
  return {
    id: "node",
    header,
    meta: { width: "minmax(84px, 0.5fr)" },
    cell: ({ row }) => <span className="mono">{row.original.node}</span>,
  };
}
