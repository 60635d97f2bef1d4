import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { StatusTag } from "../../ui/OrderParts";
import { moneyColumn, orderColumn, whenColumn } from "../parts/columns";
import { DataTable, type Columns } from "../parts/DataTable";
import { dayEnd, dayStart } from "../parts/days";
import { FilterBar, type FilterField } from "../parts/FilterBar";
import { Mono, PageHead, Tag } from "../parts/Parts";
import { useTableState } from "../parts/useTableState";
import { orderList, type OrderRow } from "../queries";

type Filter =
  "order_no" | "username" | "user_id" | "product_id" | "sale_id" | "status" | "needs_review" | "from" | "to";

const FILTERS: readonly Filter[] = [
  "order_no",
  "username",
  "user_id",
  "product_id",
  "sale_id",
  "status",
  "needs_review",
  "from",
  "to",
];
const STATUSES = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] as const;

export function Orders() {
  const { t } = useTranslation("admin");
  const { t: shop } = useTranslation();
  const table = useTableState<Filter>(FILTERS, "newest");
  const { from, to, ...filters } = table.filters;
  const found = useQuery(
    orderList({ ...filters, from: dayStart(from), to: dayEnd(to), sort: table.sort }, table.page),
  );
  const fields: FilterField<Filter>[] = [
    { name: "order_no", label: t("orders.number"), kind: "text", hint: t("orders.numberHint") },
    { name: "username", label: t("orders.buyer"), kind: "text", hint: t("orders.buyerHint") },
    { name: "product_id", label: t("orders.productId"), kind: "text", inputMode: "numeric" },
    {
      name: "status",
      label: t("orders.status"),
      kind: "choice",
      options: STATUSES.map((status) => ({ value: status, label: shop(`order.status.${status}`) })),
    },
    { name: "from", label: t("table.from"), kind: "day" },
    { name: "to", label: t("table.to"), kind: "day" },
    { name: "needs_review", label: t("orders.needsReview"), kind: "flag" },
  ];
  const columns = useMemo(() => columnsOf(t), [t]);
  return (
    <div className="stack">
      <PageHead title={t("nav.orders")} lead={t("orders.lead")} />
      <FilterBar table={table} fields={fields} />
      <DataTable
        label={t("nav.orders")}
        columns={columns}
        found={found}
        rowKey={(order) => order.order_no}
        sort={table.sort}
        empty={{ icon: "box", title: t("orders.none"), hint: t("table.noneHint") }}
      />
    </div>
  );
}

type T = ReturnType<typeof useTranslation<"admin">>["t"];

function columnsOf(t: T): Columns<OrderRow> {
  return [
    orderColumn(t("orders.number")),
    {
      id: "product",
      header: t("orders.product"),
      meta: { width: "minmax(200px, 1.6fr)" },
      cell: ({ row: { original } }) => (
        <span className="two-lines">
          {original.product_name} <span className="muted nowrap">× {original.quantity}</span>
        </span>
      ),
    },
    {
      id: "buyer",
      header: t("orders.buyerId"),
      meta: { width: "minmax(76px, 0.4fr)", align: "end", isExtra: true },
      cell: ({ row }) => <Mono text={String(row.original.user_id)} />,
    },
    {
      id: "status",
      header: t("orders.status"),
      meta: { width: "minmax(150px, 0.7fr)" },
      cell: ({ row: { original } }) => (
        <span className="tags">
          <StatusTag order={original} />
          {original.needs_review && <Tag tone="bad">{t("orders.review")}</Tag>}
        </span>
      ),
    },
    moneyColumn("amount", t("orders.amount"), (row) => row.total_price),
    whenColumn("created", t("orders.created"), (row) => row.created_at, {
      align: "end",
      sort: { ascending: "oldest", descending: "newest" },
    }),
  ];
}
