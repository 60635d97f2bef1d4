/** The catalogue as administrators search it. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { categories } from "../../../api/queries";
import { count } from "../../../lib/format";
import { ButtonLink } from "../../../ui/Basics";
import { countColumn, moneyColumn } from "../../parts/columns";
import { DataTable, type Columns } from "../../parts/DataTable";
import { FilterBar } from "../../parts/FilterBar";
import { PageHead, Tag, When } from "../../parts/Parts";
import { useTableState } from "../../parts/useTableState";
import { ProductCell } from "../parts/ProductCell";
import { keys, listProducts, type AdminProduct } from "../queries";
import { branches } from "../rules/catalogue";

const FILTERS = ["keyword", "category", "status"] as const;

function useColumns(): Columns<AdminProduct> {
  const { t, i18n } = useTranslation("desk");
  return useMemo(
    () => [
      {
        id: "name",
        header: t("shared.product"),
        meta: { width: "minmax(220px, 3fr)", sort: { ascending: "name" } },
        cell: ({ row: { original: product } }) => (
          <ProductCell picture={product.image_url} name={product.name} to={`/admin/products/${product.id}`} />
        ),
      },
      moneyColumn("price", t("shared.price"), (row) => row.price, {
        width: "minmax(120px, 1fr)",
        sort: { ascending: "price_asc", descending: "price_desc" },
      }),
      {
        id: "stock",
        header: t("products.free"),
        meta: {
          align: "end",
          width: "minmax(90px, 0.8fr)",
          sort: { ascending: "stock_asc", descending: "stock_desc" },
        },
        cell: ({ row: { original: product } }) => (
          <Link to={`/admin/stock/${product.id}`} className="number">
            {count(product.stock, i18n.language)}
          </Link>
        ),
      },
      countColumn("sales", t("products.sold"), (row) => row.sales, { sort: { descending: "sales" } }),
      {
        id: "category",
        header: t("products.category"),
        meta: { width: "minmax(110px, 1fr)" },
        cell: ({ row }) => row.original.category || <span className="muted">{t("products.noCategory")}</span>,
      },
      {
        id: "status",
        header: t("shared.status"),
        meta: { width: "minmax(110px, 0.8fr)" },
        cell: ({ row: { original: product } }) => <ShelfTag isOn={product.status === 1} />,
      },
      {
        id: "created",
        header: t("products.created"),
        meta: { isExtra: true, width: "minmax(136px, 0.8fr)", sort: { descending: "newest" } },
        cell: ({ row }) => <When at={row.original.created_at} />,
      },
    ],
    [t, i18n.language],
  );
}

export function ShelfTag({ isOn }: { isOn: boolean }) {
  const { t } = useTranslation("desk");
  return <Tag tone={isOn ? "good" : ""}>{isOn ? t("products.onShelf") : t("products.offShelf")}</Tag>;
}

export function Products() {
  const { t } = useTranslation("desk");
  const table = useTableState(FILTERS, "newest");
  const { page, sort, filters } = table;
  const tree = useQuery(categories).data ?? [];
  const found = useQuery({
    queryKey: [...keys.products, page, sort, filters],
    queryFn: ({ signal }) => {
      const { keyword, category, status } = filters;
      const query = {
        page,
        sort,
        ...(keyword && { keyword }),
        ...(category && { category }),
        ...(status && { status }),
      };
      return listProducts(query, signal);
    },
    placeholderData: keepPreviousData,
  });
  return (
    <div className="stack">
      <PageHead title={t("products.title")}>
        <ButtonLink to="/admin/products/new" look="primary" size="compact">
          {t("products.add")}
        </ButtonLink>
      </PageHead>
      <FilterBar
        table={table}
        fields={[
          { kind: "text", name: "keyword", label: t("shared.search"), hint: t("products.keyword") },
          {
            kind: "choice",
            name: "category",
            label: t("products.category"),
            options: branches(tree).map(({ id, name, depth }) => ({
              value: String(id),
              label: "　".repeat(depth) + name,
            })),
          },
          {
            kind: "choice",
            name: "status",
            label: t("shared.status"),
            options: [
              { value: "1", label: t("products.onShelf") },
              { value: "0", label: t("products.offShelf") },
            ],
          },
        ]}
      />
      <DataTable
        label={t("products.title")}
        columns={useColumns()}
        found={found}
        rowKey={(product) => String(product.id)}
        sort={sort}
        empty={{ icon: "box", title: t("products.empty"), hint: t("products.emptyHint") }}
      />
    </div>
  );
}
