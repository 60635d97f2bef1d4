/** What lies where: the products by their free units. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { count } from "../../../lib/format";
import { countColumn } from "../../parts/columns";
import { DataTable, type Columns } from "../../parts/DataTable";
import { FilterBar } from "../../parts/FilterBar";
import { PageHead, Tag } from "../../parts/Parts";
import { useTableState } from "../../parts/useTableState";
import { ShelfTag } from "../products/Products";
import { ProductCell } from "../parts/ProductCell";
import { keys, listProducts, type AdminProduct } from "../queries";

const FILTERS = ["keyword", "stock_max"] as const;
/** Up to so many free units a product runs low. */
const LOW_UNITS = [0, 10, 100, 1_000];

export function Stock() {
  const { t, i18n } = useTranslation("desk");
  const table = useTableState(FILTERS, "stock_asc");
  const { page, sort, filters } = table;
  const found = useQuery({
    queryKey: [...keys.products, "stock", page, sort, filters],
    queryFn: ({ signal }) => {
      const { keyword, stock_max } = filters;
      const query = {
        page,
        sort,
        ...(keyword && { keyword }),
        ...(stock_max && { stock_max: Number(stock_max) }),
      };
      return listProducts(query, signal);
    },
    placeholderData: keepPreviousData,
  });
  return (
    <div className="stack">
      <PageHead title={t("stock.title")} lead={t("stock.lead")} />
      <FilterBar
        table={table}
        fields={[
          { kind: "text", name: "keyword", label: t("shared.search"), hint: t("products.keyword") },
          {
            kind: "choice",
            name: "stock_max",
            label: t("stock.lowOnly"),
            options: LOW_UNITS.map((units) => ({
              value: String(units),
              label: t("stock.low", { units: count(units, i18n.language) }),
            })),
          },
        ]}
      />
      <DataTable
        label={t("stock.title")}
        columns={useColumns()}
        found={found}
        rowKey={(product) => String(product.id)}
        sort={sort}
        empty={{ icon: "box", title: t("stock.empty") }}
      />
    </div>
  );
}

function useColumns(): Columns<AdminProduct> {
  const { t } = useTranslation("desk");
  return useMemo(
    () => [
      {
        id: "name",
        header: t("shared.product"),
        meta: { width: "minmax(220px, 3fr)", sort: { ascending: "name" } },
        cell: ({ row: { original: product } }) => (
          <ProductCell picture={product.image_url} name={product.name} to={`/admin/stock/${product.id}`} />
        ),
      },
      {
        id: "free",
        header: t("stock.free"),
        meta: {
          align: "end",
          width: "minmax(110px, 1fr)",
          sort: { ascending: "stock_asc", descending: "stock_desc" },
        },
        cell: ({ row }) => <Units units={row.original.stock} />,
      },
      countColumn("in_sales", t("products.inSales"), (row) => row.in_sales, { width: "minmax(110px, 1fr)" }),
      countColumn("held", t("stock.held"), (row) => row.held, { width: "minmax(90px, 1fr)" }),
      countColumn("sold", t("stock.sold"), (row) => row.sold, {
        width: "minmax(90px, 1fr)",
        sort: { descending: "sales" },
      }),
      {
        id: "status",
        header: t("shared.status"),
        meta: { width: "minmax(120px, 1fr)" },
        cell: ({ row }) => <ShelfTag isOn={row.original.status === 1} />,
      },
    ],
    [t],
  );
}

function Units({ units }: { units: number }) {
  const { i18n } = useTranslation();
  const shown = <span className="number">{count(units, i18n.language)}</span>;
  return units === 0 ? <Tag tone="bad">{shown}</Tag> : shown;
}
