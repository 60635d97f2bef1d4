import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { ApiError, Code } from "../api/error";
import { product, productList, type Product } from "../api/queries";
import { count as counted } from "../lib/format";
import { useServerSecond, useTitle } from "../lib/hooks";
import { useAddToCart } from "../lib/useAddToCart";
import { saleAddress, saleStage, wantedOf } from "../live/sale";
import { useSales, useStockWhenSeen } from "../live/useSales";
import { Button, ButtonLink, Empty, ErrorNote, Loading, Picture, Price, Stepper } from "../ui/Basics";
import { Icon } from "../ui/Icon";
import { ProductTiles } from "../ui/ProductTiles";
import { Countdown, StockBar } from "../ui/SaleParts";
import { toast } from "../ui/toasts";

const QUANTITY_MAX = 999;
const LOW_STOCK = 10;
const ON_SHELF = 1;

export function ProductPage() {
  const { t } = useTranslation();
  const id = Number(useParams().id);
  const isId = Number.isSafeInteger(id) && id > 0;
  const found = useQuery({ ...product(id), enabled: isId });
  useTitle(found.data?.name);
  const isMissing = found.error instanceof ApiError && found.error.code === Code.ProductNotFound;
  if (!isId || isMissing) {
    return (
      <Empty icon="search" title={t("product.notFound")} hint={t("state.notFoundHint")}>
        <ButtonLink to="/products" look="primary">
          {t("home.browse")}
        </ButtonLink>
      </Empty>
    );
  }
  if (found.isError) return <ErrorNote error={found.error} onRetry={found.refetch} />;
  if (!found.data) {
    return (
      <Loading>
        <div className="detail">
          <span className="bone picture" />
          <div className="stack">
            <span className="bone text" />
            <span className="bone text short" />
            <span className="bone block" />
          </div>
        </div>
      </Loading>
    );
  }
  return <Detail key={found.data.id} product={found.data} />;
}

function Detail({ product }: { product: Product }) {
  const { t, i18n } = useTranslation();
  const attributes = Object.entries<unknown>(product.attributes);
  return (
    <>
      <article className="detail">
        <Gallery product={product} />
        <div className="stack loose">
          <div className="stack">
            {product.category && (
              <span>
                <span className="tag">{product.category}</span>
              </span>
            )}
            <h1>{product.name}</h1>
            <Price amount={product.price} large />
            <p className="row muted small">
              <StockWords product={product} />
              {product.sales > 0 && (
                <span>{t("product.sold", { amount: counted(product.sales, i18n.language) })}</span>
              )}
              {product.rating > 0 && (
                <span>{t("product.rating", { rating: product.rating.toFixed(1) })}</span>
              )}
            </p>
          </div>
          <OnFlash productId={product.id} />
          <Buy product={product} />
          {product.description && (
            <section className="stack tight">
              <h2>{t("product.description")}</h2>
              <p>{product.description}</p>
            </section>
          )}
          {attributes.length > 0 && (
            <section className="stack tight">
              <h2>{t("product.attributes")}</h2>
              <dl className="specs">
                {attributes.map(([name, value]) => (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
                  </div>
                ))}
              </dl>
            </section>
          )}
        </div>
      </article>
      <Similar product={product} />
    </>
  );
}

function StockWords({ product: { stock, status } }: { product: Product }) {
  const { t } = useTranslation();
  if (status !== ON_SHELF) return <span className="tag bad">{t("product.offShelf")}</span>;
  if (stock <= 0) return <span className="tag bad">{t("product.soldOut")}</span>;
  if (stock <= LOW_STOCK) return <span className="tag warn">{t("product.stockLow", { count: stock })}</span>;
  return <span>{t("product.stock", { count: stock })}</span>;
}

function Gallery({ product }: { product: Product }) {
  const { t } = useTranslation();
  const pictures = [...new Set([product.image_url, ...product.images].filter(Boolean))];
  const [shown, setShown] = useState(0);
  return (
    <div className="gallery">
      <Picture src={pictures[shown] ?? ""} alt={product.name} className="main-picture" eager />
      {pictures.length > 1 && (
        <div className="thumbs" role="group" aria-label={t("product.pictures")}>
          {pictures.map((src, index) => (
            <button
              key={src}
              type="button"
              aria-pressed={index === shown}
              aria-label={t("product.picture", { n: index + 1 })}
              onClick={() => setShown(index)}
            >
              <Picture src={src} className="thumb" />
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function OnFlash({ productId }: { productId: number }) {
  const { t } = useTranslation();
  const { list } = useSales({ product_id: productId });
  const now = useServerSecond();
  const seen = useStockWhenSeen(productId);
  const sale = wantedOf(list ?? [], productId, "", now);
  if (!sale) return null;
  const stage = saleStage(sale, now);
  if (stage === "over") return null;
  const isUpcoming = stage === "upcoming";
  return (
    <section ref={seen} className="note warn" aria-label={t("nav.flash")}>
      <Icon name="bolt" size={20} />
      <div className="stack tight grow">
        <span className="row between">
          <strong>{isUpcoming ? t("product.flashSoon") : t("product.onFlash")}</strong>
          <Price amount={sale.price} plain />
        </span>
        <StockBar left={sale.stock} total={sale.total_stock} />
        {sale.paused && stage === "open" && <p role="status">{t("flash.paused")}</p>}
        <span className="row between">
          <Countdown
            until={isUpcoming ? sale.start_at : sale.end_at}
            now={now}
            label={isUpcoming ? t("flash.startsIn") : t("flash.endsIn")}
          />
          <ButtonLink to={saleAddress(sale)} size="compact">
            {t("product.goFlash")}
          </ButtonLink>
        </span>
      </div>
    </section>
  );
}

function Buy({ product }: { product: Product }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [quantity, setQuantity] = useState(1);
  const add = useAddToCart();
  const line = { product_id: product.id, quantity };
  const canBuy = product.stock > 0 && product.status === ON_SHELF;
  return (
    <div className="stack">
      <Stepper
        value={quantity}
        max={Math.max(1, Math.min(product.stock, QUANTITY_MAX))}
        name={product.name}
        onChange={setQuantity}
      />
      <div className="buy-bar">
        <Button
          size="big"
          disabled={!canBuy}
          busy={add.isPending}
          onClick={() =>
            add.mutate(line, {
              onSuccess: () => toast(t("product.added"), { label: t("product.goCart"), to: "/cart" }),
            })
          }
        >
          {t("product.addToCart")}
        </Button>
        <Button
          look="primary"
          size="big"
          disabled={!canBuy || add.isPending}
          onClick={() => add.mutate(line, { onSuccess: () => void navigate("/cart") })}
        >
          {t("product.buyNow")}
        </Button>
      </div>
      {add.isError && <ErrorNote error={add.error} />}
    </div>
  );
}

function Similar({ product }: { product: Product }) {
  const { t } = useTranslation();
  const filter = { page: 1, category: String(product.category_id) };
  const { data } = useQuery({ ...productList(filter, 5), enabled: product.category_id > 0 });
  const others = data?.list.filter((other) => other.id !== product.id).slice(0, 4) ?? [];
  if (others.length === 0) return null;
  return (
    <section className="section" aria-labelledby="similar">
      <h2 id="similar">{t("product.more")}</h2>
      <ProductTiles products={others} />
    </section>
  );
}
