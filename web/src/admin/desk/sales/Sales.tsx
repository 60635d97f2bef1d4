/** Flash sales of every state: what comes, what runs, what was. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { count } from "../../../lib/format";
import { useServerSecond } from "../../../lib/hooks";
import { ButtonLink } from "../../../ui/Basics";
import { countColumn, moneyColumn, whenColumn } from "../../parts/columns";
import { DataTable, type Columns } from "../../parts/DataTable";
import { FilterBar } from "../../parts/FilterBar";
import { PageHead, Tag } from "../../parts/Parts";
import { useTableState } from "../../parts/useTableState";
import { ProductCell } from "../parts/ProductCell";
import { keys, listSales, type AdminSale } from "../queries";
import { PhaseTag, SaleClock } from "./SaleState";

const FILTERS = ["state", "keyword"] as const;
const STATES = ["upcoming", "open", "ended", "closed"] as const;

/** How often figures are asked for while sales run. */
const LOOK_EVERY_MS = 3_000;

export function Sales() {
  const { t } = useTranslation("desk");
  const table = useTableState(FILTERS);
  const found = useQuery({
    queryKey: [...keys.sales, table.page, table.filters],
    queryFn: ({ signal }) => listSales({ page: table.page, ...table.filters }, signal),
    placeholderData: keepPreviousData,
    refetchInterval: LOOK_EVERY_MS,
  });
  return (
    <div className="stack">
      <PageHead title={t("sales.title")}>
        <ButtonLink to="/admin/sales/new" look="primary" size="compact">
          {t("sales.plan")}
        </ButtonLink>
      </PageHead>
      <FilterBar
        table={table}
        fields={[
          {
            kind: "choice",
            name: "state",
            label: t("sales.phases"),
            options: STATES.map((state) => ({ value: state, label: t(`sales.phase.${state}`) })),
          },
          { kind: "text", name: "keyword", label: t("shared.search"), hint: t("sales.keyword") },
        ]}
      />
      <DataTable
        label={t("sales.title")}
        columns={useColumns()}
        found={{ ...found, isFetching: found.isPlaceholderData }}
        rowKey={(sale) => String(sale.id)}
        empty={{ icon: "bolt", title: t("sales.empty"), hint: t("sales.emptyHint") }}
      />
    </div>
  );
}

function useColumns(): Columns<AdminSale> {
  const { t, i18n } = useTranslation("desk");
  return useMemo(
    () => [
      {
        id: "product",
        header: t("shared.product"),
        meta: { width: "minmax(220px, 3fr)" },
        cell: ({ row: { original: sale } }) => (
          <ProductCell picture={sale.product_image} name={sale.product_name} to={`/admin/sales/${sale.id}`}>
            <span className="small muted">{t("sales.of", { id: sale.id })}</span>
          </ProductCell>
        ),
      },
      {
        id: "state",
        header: t("shared.status"),
        meta: { width: "minmax(150px, 1.2fr)" },
        cell: ({ row }) => <State sale={row.original} />,
      },
      moneyColumn("price", t("sales.price"), (row) => row.price, { width: "minmax(120px, 1fr)" }),
      {
        id: "left",
        header: t("sales.leftUnits"),
        meta: { align: "end", width: "minmax(160px, 1fr)" },
        cell: ({ row: { original: sale } }) => (
          <span className="number nowrap">
            {count(sale.stock, i18n.language)} / {count(sale.total_stock, i18n.language)}
          </span>
        ),
      },
      countColumn("sold", t("sales.soldUnits"), (row) => row.sold),
      whenColumn("start", t("sales.start"), (row) => row.start_at, { width: "minmax(183px, 1fr)" }),
      whenColumn("end", t("sales.end"), (row) => row.end_at, { width: "minmax(183px, 1fr)", isExtra: true }),
    ],
    [t, i18n.language],
  );
}

function State({ sale }: { sale: AdminSale }) {
  const { t } = useTranslation("desk");
  const now = useServerSecond();
  return (
    <span className="stack-inline">
      <span className="row tight">
        <PhaseTag sale={sale} now={now} />
        {sale.paused && <Tag tone="warn">{t("sales.paused")}</Tag>}
      </span>
      <SaleClock sale={sale} now={now} />
    </span>
  );
}
