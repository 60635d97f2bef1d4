/** How a product's units moved: who, why and when. */
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { count } from "../../../lib/format";
import { whenColumn } from "../../parts/columns";
import { DataTable, type Columns } from "../../parts/DataTable";
import { Section } from "../../parts/Parts";
import type { Movement, StockBook } from "../queries";
import { PoolName } from "./PoolName";

export function Movements({ book, isStale }: { book: StockBook; isStale: boolean }) {
  const { t } = useTranslation("desk");
  return (
    <Section title={t("stock.history")}>
      <DataTable
        label={t("stock.history")}
        columns={useColumns()}
        found={{ data: book.movements, error: null, isFetching: isStale, refetch: () => undefined }}
        rowKey={(movement) => movement.move_id}
        empty={{ icon: "box", title: t("stock.historyEmpty"), hint: t("stock.historyEmptyHint") }}
      />
    </Section>
  );
}

function useColumns(): Columns<Movement> {
  const { t, i18n } = useTranslation("desk");
  return useMemo(
    () => [
      whenColumn("at", t("shared.when"), (row) => row.at, { width: "minmax(183px, 1fr)" }),
      {
        id: "kind",
        header: t("stock.kind"),
        meta: { width: "minmax(120px, 1fr)" },
        cell: ({ row: { original: movement } }) =>
          t(`stock.kinds.${movement.kind}` as "stock.kinds.put_in", { defaultValue: movement.kind }),
      },
      {
        id: "units",
        header: t("stock.change"),
        meta: { align: "end", width: "minmax(120px, 0.7fr)" },
        cell: ({ row }) => <Signed units={row.original.units} />,
      },
      {
        id: "after",
        header: t("stock.after"),
        meta: { align: "end", width: "minmax(90px, 0.7fr)" },
        cell: ({ row: { original: movement } }) => (
          <span className="number">
            {count(movement.sale_left_after ?? movement.free_after, i18n.language)}
          </span>
        ),
      },
      {
        id: "pool",
        header: t("stock.pool"),
        meta: { width: "minmax(130px, 1fr)" },
        cell: ({ row }) => <PoolName saleId={row.original.sale_id} />,
      },
      {
        id: "who",
        header: t("stock.who"),
        meta: { width: "minmax(100px, 1fr)" },
        cell: ({ row: { original: movement } }) =>
          movement.actor_name || <span className="muted">{t("stock.bySystem")}</span>,
      },
      {
        id: "why",
        header: t("shared.reason"),
        meta: { width: "minmax(140px, 1.5fr)" },
        cell: ({ row }) => row.original.why || <span className="muted">—</span>,
      },
    ],
    [t, i18n.language],
  );
}

function Signed({ units }: { units: number }) {
  const { i18n } = useTranslation();
  const shown = count(Math.abs(units), i18n.language);
  return (
    <span className={`number nowrap ${units < 0 ? "minus" : "plus"}`}>
      {units > 0 ? `+${shown}` : units < 0 ? `−${shown}` : "0"}
    </span>
  );
}
