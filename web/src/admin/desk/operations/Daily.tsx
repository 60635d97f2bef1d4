/** The shop day by day: charts, the same figures as a table, and what sold best. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api, dataOf } from "../../../api/client";
import { ErrorNote, LoadingBlocks } from "../../../ui/Basics";
import { Chart } from "../../dashboard/Chart";
import { compact } from "../../format";
import { countColumn, moneyColumn } from "../../parts/columns";
import { Rows, type Columns } from "../../parts/DataTable";
import { FilterBar } from "../../parts/FilterBar";
import { Section } from "../../parts/Parts";
import { useTableState } from "../../parts/useTableState";
import { keys, type DailyFigures } from "../queries";
import { DAYS, daysOf, noonOf, shortDay } from "../rules/figures";

type Day = DailyFigures["days"][number];
type Seller = DailyFigures["top_products"][number];

/** Today moves on. */
const LOOK_EVERY_MS = 60_000;

export function Daily() {
  const { t } = useTranslation("desk");
  const table = useTableState(["days"]);
  const days = daysOf(table.filters.days);
  const found = useQuery({
    queryKey: [...keys.statistics, "daily", days],
    queryFn: ({ signal }) =>
      dataOf(api.GET("/api/admin/statistics/daily", { params: { query: { days } }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: LOOK_EVERY_MS,
  });
  return (
    <>
      <div className="row between">
        <h2>{t("statistics.daily")}</h2>
        <FilterBar
          table={table}
          fields={[
            {
              kind: "choice",
              name: "days",
              label: t("statistics.span"),
              none: t("statistics.days", { count: daysOf(undefined) }),
              options: DAYS.filter((span) => span !== daysOf(undefined)).map((span) => ({
                value: String(span),
                label: t("statistics.days", { count: span }),
              })),
            },
          ]}
        />
      </div>
      {found.isPending && <LoadingBlocks />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data && <Shown figures={found.data} />}
    </>
  );
}

function Shown({ figures: { days, top_products } }: { figures: DailyFigures }) {
  const { t } = useTranslation("desk");
  const newestFirst = useMemo(() => days.toReversed(), [days]);
  const [ofDays, ofSellers] = [useDayColumns(), useSellerColumns()];
  return (
    <>
      <Charts days={days} />
      <Section title={t("statistics.top")}>
        {top_products.length === 0 ? (
          <p className="muted">{t("statistics.nothingSold")}</p>
        ) : (
          <Rows
            label={t("statistics.top")}
            columns={ofSellers}
            rows={top_products}
            rowKey={({ product_id }) => String(product_id)}
          />
        )}
      </Section>
      <Section title={t("statistics.table")}>
        <Rows label={t("statistics.table")} columns={ofDays} rows={newestFirst} rowKey={({ date }) => date} />
      </Section>
    </>
  );
}

/** What they show stands in the table below as well. */
function Charts({ days }: { days: readonly Day[] }) {
  const { t, i18n } = useTranslation("desk");
  const times = useMemo(() => days.map(({ date }) => noonOf(date)), [days]);
  const line = (label: string, color: string, of: (day: Day) => number) => ({
    label,
    color,
    values: days.map(of),
  });
  const yuan = [
    { ...line(t("statistics.revenue"), "--accent", (day) => day.revenue), isFilled: true },
    { ...line(t("statistics.refunded"), "--bad", (day) => day.refunded), isDashed: true },
  ];
  const numbers = [
    line(t("statistics.orders"), "--accent", (day) => day.orders),
    line(t("statistics.paid"), "--good", (day) => day.paid),
    { ...line(t("statistics.newUsers"), "--info", (day) => day.new_users), isDashed: true },
  ];
  const words = (value: number) => compact(value, i18n.language);
  return (
    <div className="columns">
      <Section title={t("statistics.revenueByDay")}>
        <Chart
          title={t("statistics.revenueByDay")}
          times={times}
          lines={yuan}
          format={(value) => `¥${words(value)}`}
          day={shortDay}
        />
      </Section>
      <Section title={t("statistics.ordersByDay")}>
        <Chart
          title={t("statistics.ordersByDay")}
          times={times}
          lines={numbers}
          format={words}
          day={shortDay}
        />
      </Section>
    </div>
  );
}

function useDayColumns(): Columns<Day> {
  const { t } = useTranslation("desk");
  return useMemo(
    () => [
      {
        id: "date",
        header: t("statistics.day"),
        meta: { width: "minmax(100px, 0.8fr)" },
        cell: ({ row }) => <span className="number nowrap">{row.original.date}</span>,
      },
      countColumn("orders", t("statistics.orders"), (day) => day.orders),
      countColumn("paid", t("statistics.paid"), (day) => day.paid),
      moneyColumn("revenue", t("statistics.revenue"), (day) => day.revenue),
      moneyColumn("refunded", t("statistics.refunded"), (day) => day.refunded),
      countColumn("users", t("statistics.newUsers"), (day) => day.new_users),
    ],
    [t],
  );
}

function useSellerColumns(): Columns<Seller> {
  const { t } = useTranslation("desk");
  return useMemo(
    () => [
      {
        id: "name",
        header: t("shared.product"),
        meta: { width: "minmax(160px, 3fr)" },
        cell: ({ row: { original: product } }) => (
          <Link to={`/admin/products/${product.product_id}`} className="two-lines">
            {product.name}
          </Link>
        ),
      },
      countColumn("units", t("statistics.unitsSold"), (product) => product.units),
      moneyColumn("revenue", t("statistics.revenue"), (product) => product.revenue),
    ],
    [t],
  );
}
