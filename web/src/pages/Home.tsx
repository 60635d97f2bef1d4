import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { categories, productList, type Sale } from "../api/queries";
import { useServerSecond, useTitle } from "../lib/hooks";
import { ButtonLink, ErrorNote, Picture, Price } from "../ui/Basics";
import { Icon } from "../ui/Icon";
import { ProductTiles, TilesLoading } from "../ui/ProductTiles";
import { Countdown, StockBar } from "../ui/SaleParts";
import { inOrder, saleAddress, saleStage } from "../live/sale";
import { useSales, useStockWhenSeen } from "../live/useSales";

const NEWEST = 8;

export function Home() {
  const { t } = useTranslation();
  useTitle(undefined);
  const found = useSales();
  const now = useServerSecond();
  const running = inOrder(found.list ?? [], now).filter((sale) => saleStage(sale, now) !== "over");
  return (
    <>
      <section className="hero">
        <div className="stack loose">
          <div className="stack">
            <h1>{t("home.title")}</h1>
            <p>{t("home.lead")}</p>
          </div>
          <div className="row">
            <ButtonLink to="/flash" look="primary" size="big">
              <Icon name="bolt" size={20} />
              {t("home.goFlash")}
            </ButtonLink>
            <ButtonLink to="/products" look="ghost" size="big">
              {t("home.browse")}
            </ButtonLink>
          </div>
        </div>
        {running[0] && <HeroSale sale={running[0]} now={now} />}
      </section>
      {running.length > 1 && <OtherSales sales={running.slice(1, 5)} />}
      <Categories />
      <Newest />
    </>
  );
}

function HeroSale({ sale, now }: { sale: Sale; now: number }) {
  const { t } = useTranslation();
  const isOpen = saleStage(sale, now) !== "upcoming";
  const seen = useStockWhenSeen(sale.product_id);
  return (
    <Link ref={seen} to={saleAddress(sale)} className="hero-sale">
      <div className="row">
        <Picture src={sale.product_image} eager />
        <div className="stack tight grow">
          <span className="row">
            <span className="tag hurry">
              <Icon name="bolt" size={14} />
              {isOpen ? t("home.onSale") : t("home.upcoming")}
            </span>
          </span>
          <strong className="tile-name">{sale.product_name}</strong>
          <span className="row">
            <Price amount={sale.price} large />
          </span>
        </div>
      </div>
      <StockBar left={sale.stock} total={sale.total_stock} />
      <Countdown
        until={isOpen ? sale.end_at : sale.start_at}
        now={now}
        label={isOpen ? t("flash.endsIn") : t("flash.startsIn")}
      />
    </Link>
  );
}

function OtherSales({ sales }: { sales: readonly Sale[] }) {
  const { t } = useTranslation();
  return (
    <section className="section" aria-labelledby="on-sale">
      <div className="row between">
        <h2 id="on-sale">{t("nav.flash")}</h2>
        <Link to="/flash">{t("common.more")}</Link>
      </div>
      <ul className="tiles">
        {sales.map((sale) => (
          <OtherSale key={sale.id} sale={sale} />
        ))}
      </ul>
    </section>
  );
}

function OtherSale({ sale }: { sale: Sale }) {
  const { t } = useTranslation();
  const seen = useStockWhenSeen(sale.product_id);
  return (
    <li ref={seen} className={sale.stock > 0 ? "tile" : "tile gone"}>
      <Picture src={sale.product_image} eager />
      {sale.stock <= 0 && <span className="tag corner">{t("flash.soldOut")}</span>}
      <div className="tile-body">
        <Link to={saleAddress(sale)} className="tile-name">
          {sale.product_name}
        </Link>
        <div className="tile-foot">
          <Price amount={sale.price} />
          <span className="small muted number">{t("flash.left", { count: sale.stock })}</span>
        </div>
      </div>
    </li>
  );
}

function Categories() {
  const { t } = useTranslation();
  const { data } = useQuery(categories);
  if (!data?.length) return null;
  return (
    <nav className="section" aria-labelledby="categories">
      <h2 id="categories">{t("home.categories")}</h2>
      <div className="tabs">
        {data.map(({ id, name }) => (
          <Link key={id} to={`/products?category=${id}`}>
            {name}
          </Link>
        ))}
      </div>
    </nav>
  );
}

function Newest() {
  const { t } = useTranslation();
  const found = useQuery(productList({ page: 1, sort: "newest" }, NEWEST));
  return (
    <section className="section" aria-labelledby="newest">
      <div className="row between">
        <h2 id="newest">{t("home.newest")}</h2>
        <Link to="/products">{t("common.more")}</Link>
      </div>
      {found.isPending && <TilesLoading count={NEWEST} />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data && <ProductTiles products={found.data.list} />}
    </section>
  );
}
