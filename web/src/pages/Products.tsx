import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useSearchParams } from "react-router";
import { categories, productList } from "../api/queries";
import { SORTS, changed, hasFilters, isAmount, readFilter, sortOf, type Sort } from "../lib/filters";
import { formText } from "../lib/formText";
import { useTitle } from "../lib/hooks";
import { Button, ButtonLink, Empty, ErrorNote } from "../ui/Basics";
import { Icon } from "../ui/Icon";
import { Pager } from "../ui/Pager";
import { ProductTiles, TilesLoading } from "../ui/ProductTiles";
import { SearchBox } from "../ui/SearchBox";

export function Products() {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  const filter = readFilter(params);
  const found = useQuery(productList(filter));
  const [isOpen, setOpen] = useState(false);
  const title = filter.keyword ? t("list.resultsFor", { keyword: filter.keyword }) : t("list.title");
  useTitle(title);
  return (
    <div className="list-page">
      <div className="row filters-toggle">
        <SearchBox isInPage />
        <button
          type="button"
          className="icon-button"
          aria-expanded={isOpen}
          aria-controls="filters"
          aria-label={t("list.filters")}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name="filter" />
        </button>
      </div>
      <aside id="filters" className={isOpen ? "filters open" : "filters"} aria-label={t("list.filters")}>
        <CategoryFilter chosen={filter.category} />
        <PriceFilter key={`${filter.min_price ?? ""}-${filter.max_price ?? ""}`} />
        {hasFilters(filter) && (
          <ButtonLink to="/products" size="compact">
            {t("list.clear")}
          </ButtonLink>
        )}
      </aside>
      <div className="stack">
        <div className="row between">
          <div className="stack tight grow">
            <h1>{title}</h1>
            <p className="muted small" role="status">
              {found.data ? t("list.found", { count: found.data.total }) : "\u00a0"}
            </p>
          </div>
          <SortChoice />
        </div>
        {found.isPending && <TilesLoading count={9} />}
        {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
        {found.data?.list.length === 0 && (
          <Empty icon="search" title={t("list.empty")} hint={t("list.emptyHint")}>
            <ButtonLink to="/products">{t("list.clear")}</ButtonLink>
          </Empty>
        )}
        {found.data && (
          <>
            <ProductTiles products={found.data.list} isFirst />
            <Pager page={found.data.page} total={found.data.total_page} />
          </>
        )}
      </div>
    </div>
  );
}

function SortChoice() {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const names: Record<Sort, string> = {
    default: t("list.sortDefault"),
    newest: t("list.sortNewest"),
    sales: t("list.sortSales"),
    price_asc: t("list.sortPriceAsc"),
    price_desc: t("list.sortPriceDesc"),
    rating: t("list.sortRating"),
  };
  return (
    <select
      className="input"
      aria-label={t("list.sort")}
      value={sortOf(params)}
      onChange={({ target }) =>
        void navigate(changed(params, { sort: target.value === "default" ? null : target.value }))
      }
    >
      {SORTS.map((sort) => (
        <option key={sort} value={sort}>
          {names[sort]}
        </option>
      ))}
    </select>
  );
}

function CategoryFilter({ chosen }: { chosen: string | undefined }) {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  const { data } = useQuery(categories);
  return (
    <nav className="stack tight" aria-labelledby="filter-category">
      <h2 className="label" id="filter-category">
        {t("list.category")}
      </h2>
      <div className="filter-links">
        <Link to={changed(params, { category: null })} aria-current={chosen === undefined}>
          {t("list.all")}
        </Link>
        {data?.map(({ id, name }) => (
          <Link key={id} to={changed(params, { category: String(id) })} aria-current={chosen === String(id)}>
            {name}
          </Link>
        ))}
      </div>
    </nav>
  );
}

function PriceFilter() {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const [problem, setProblem] = useState(false);
  return (
    <form
      className="stack tight"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget);
        const [min, max] = [formText(form, "min_price"), formText(form, "max_price")];
        const isWrong = [min, max].some((text) => text !== "" && !isAmount(text));
        setProblem(isWrong);
        if (!isWrong) void navigate(changed(params, { min_price: min, max_price: max }));
      }}
    >
      <span className="label" id="filter-price">
        {t("list.price")}
      </span>
      <div className="price-range" role="group" aria-labelledby="filter-price">
        <input
          className="input"
          name="min_price"
          inputMode="decimal"
          aria-label={t("list.min")}
          placeholder={t("list.min")}
          aria-invalid={problem}
          defaultValue={params.get("min_price") ?? ""}
        />
        <span aria-hidden="true">–</span>
        <input
          className="input"
          name="max_price"
          inputMode="decimal"
          aria-label={t("list.max")}
          placeholder={t("list.max")}
          aria-invalid={problem}
          defaultValue={params.get("max_price") ?? ""}
        />
      </div>
      {problem && (
        <span className="problem small" role="alert">
          {t("check.amount")}
        </span>
      )}
      <Button type="submit" size="compact">
        {t("list.apply")}
      </Button>
    </form>
  );
}
