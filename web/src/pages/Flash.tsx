import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { Link, useLocation, useSearchParams } from "react-router";
import { order, type Sale } from "../api/queries";
import { pageOf, productOf } from "../lib/filters";
import { count as counted, money, percentOff } from "../lib/format";
import { Status } from "../lib/orderStatus";
import { useServerSecond, useSession, useTitle } from "../lib/hooks";
import type { Claim, Place } from "../live/claim";
import { pageWith, saleAddress, saleStage, wantedOf, type Stage } from "../live/sale";
import { useClaim } from "../live/useClaim";
import { useSales, useStockWhenSeen } from "../live/useSales";
import { Button, ButtonLink, Empty, ErrorNote, LoadingBlocks, Note, Picture, Price } from "../ui/Basics";
import { Icon } from "../ui/Icon";
import { Pager } from "../ui/Pager";
import { Countdown, StockBar } from "../ui/SaleParts";

export function Flash() {
  const { t } = useTranslation();
  useTitle(t("flash.title"));
  const [params] = useSearchParams();
  const { hash } = useLocation();
  const [page, productId] = [pageOf(params), productOf(params)];
  const found = useSales({ page });
  const ofProduct = useSales(productId === undefined ? null : { product_id: productId });
  const now = useServerSecond();
  const wanted = productId === undefined ? undefined : wantedOf(ofProduct.list ?? [], productId, hash, now);
  const list = pageWith(found.list ?? [], wanted, now);
  const isThere = list.some(({ id }) => hash === `#sale-${id}`) && !ofProduct.isLoading && !found.isPending;
  useEffect(() => {
    if (isThere) document.getElementById(hash.slice(1))?.scrollIntoView({ block: "center" });
  }, [isThere, hash]);
  return (
    <div className="stack loose">
      <div className="stack tight">
        <h1>{t("flash.title")}</h1>
        <p className="muted">{t("flash.lead")}</p>
      </div>
      {found.isPending && <LoadingBlocks />}
      {found.isError && !found.data && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data?.total === 0 && list.length === 0 && (
        <Empty icon="clock" title={t("flash.empty")} hint={t("flash.emptyHint")}>
          <ButtonLink to="/products">{t("home.browse")}</ButtonLink>
        </Empty>
      )}
      <div className="sales">
        {list.map((sale) => (
          <SaleCard key={sale.id} sale={sale} now={now} page={page} />
        ))}
      </div>
      {found.data && <Pager page={page} total={found.data.total_page} forget={["product"]} />}
    </div>
  );
}

/** As pushed: purchases may be held up for a moment. */
type LiveSale = Sale & { paused: boolean };

function SaleCard({ sale, now, page }: { sale: LiveSale; now: number; page: number }) {
  const { t } = useTranslation();
  const stage = saleStage(sale, now);
  const off = percentOff(sale.price, sale.original_price);
  const userId = useSession()?.user.id ?? null;
  const seen = useStockWhenSeen(sale.product_id);
  return (
    <article
      ref={seen}
      className={stage === "open" ? "sale open" : "sale"}
      id={`sale-${sale.id}`}
      aria-labelledby={`name-${sale.id}`}
    >
      <div className="sale-top">
        <Picture src={sale.product_image} eager />
        <div className="stack tight grow">
          <h2 id={`name-${sale.id}`}>
            <Link to={`/products/${sale.product_id}`}>{sale.product_name}</Link>
          </h2>
          <div className="sale-prices">
            <span className="hidden">{t("flash.now")}</span>
            <Price amount={sale.price} large />
            {sale.original_price > sale.price && (
              <s className="price-before">
                <span className="hidden">{t("flash.originally")}</span> {money(sale.original_price)}
              </s>
            )}
          </div>
          <div className="row">
            {off > 0 && <span className="tag hurry">{t("flash.off", { percent: off })}</span>}
            <span className="tag">{t("flash.limit", { count: sale.per_user_limit })}</span>
          </div>
        </div>
      </div>
      <div className="sale-action">
        {stage !== "over" && (
          <Countdown
            until={stage === "upcoming" ? sale.start_at : sale.end_at}
            now={now}
            label={stage === "upcoming" ? t("flash.startsIn") : t("flash.endsIn")}
          />
        )}
        <StockBar left={sale.stock} total={sale.total_stock} />
        {sale.paused && stage === "open" && <Note tone="warn">{t("flash.paused")}</Note>}
        <BuyInSale key={userId} sale={sale} stage={stage} userId={userId} page={page} />
      </div>
    </article>
  );
}

function BuyInSale({
  sale,
  stage,
  userId,
  page,
}: {
  sale: Sale;
  stage: Stage;
  userId: number | null;
  page: number;
}) {
  const { t } = useTranslation();
  const { claim, click, dismiss } = useClaim(userId, sale.id, sale.product_id);
  const words: Record<Exclude<Stage, "open">, string> = {
    upcoming: t("flash.notYet"),
    soldOut: t("flash.soldOut"),
    over: t("flash.over"),
  };
  const isFree = claim.phase === "idle";
  return (
    <>
      {isFree && stage !== "open" && <Button disabled>{words[stage]}</Button>}
      {isFree && stage === "open" && userId === null && (
        <ButtonLink
          to={`/sign-in?next=${encodeURIComponent(saleAddress(sale, page))}`}
          look="primary"
          size="big"
        >
          {t("flash.signInToBuy")}
        </ButtonLink>
      )}
      {isFree && stage === "open" && userId !== null && (
        <Button look="primary" size="big" onClick={click} aria-describedby={`name-${sale.id}`}>
          <Icon name="bolt" size={20} />
          {t("flash.buy")}
        </Button>
      )}
      {/* always there, so that screen readers hear what comes into it */}
      <div role="status">
        <ClaimNews claim={claim} onAgain={click} onDismiss={dismiss} />
      </div>
    </>
  );
}

function ClaimNews({
  claim,
  onAgain,
  onDismiss,
}: {
  claim: Claim;
  onAgain: () => void;
  onDismiss: () => void;
}) {
  const { t } = useTranslation();
  switch (claim.phase) {
    case "idle":
      return null;
    case "asking":
      if (claim.place) return <InWaitingRoom place={claim.place} />;
      return (
        <div className="claim" data-testid="claim-asking">
          <p className="title">
            <span className="spinner" aria-hidden="true" />
            {claim.tries > 0 ? t("flash.waitingRoom") : t("flash.asking")}
          </p>
          {claim.tries > 0 && <p className="small muted">{t("flash.waitingRoomHint")}</p>}
        </div>
      );
    case "queued":
      return (
        <div className="claim good" data-testid="claim-queued">
          <p className="title">
            <span className="spinner" aria-hidden="true" />
            {t("flash.queued")}
          </p>
        </div>
      );
    case "ordered":
      return (
        <div className="claim good" data-testid="claim-ordered">
          <p className="title">
            <Icon name="check" size={20} />
            {t("flash.ordered")}
          </p>
          <ButtonLink to={`/orders/${claim.orderNo}/pay`} look="primary" wide>
            {t("flash.pay")}
          </ButtonLink>
        </div>
      );
    case "failed":
      return (
        <div className="claim bad" data-testid="claim-failed">
          <p className="title">{t("flash.failed")}</p>
          <p className="small">
            {t(`flash.failedReason.${claim.reason}` as "flash.failedReason.sold_out", {
              defaultValue: t("flash.failedReason.not_processed"),
            })}
          </p>
          <Button size="compact" onClick={onDismiss}>
            {t("common.close")}
          </Button>
        </div>
      );
    case "refused":
      return claim.orderNo ? (
        <AlreadyBought orderNo={claim.orderNo} />
      ) : (
        <div className="claim bad" data-testid="claim-refused">
          <p className="title">{claim.message}</p>
          <Button size="compact" onClick={onDismiss}>
            {t("common.close")}
          </Button>
        </div>
      );
    case "unknown":
      return (
        <div className="claim" data-testid="claim-unknown">
          <p className="title">{t("flash.unknown")}</p>
          <p className="small muted">{t("flash.unknownHint")}</p>
          <Button look="primary" onClick={onAgain}>
            {t("flash.tryAgain")}
          </Button>
        </div>
      );
  }
}

function InWaitingRoom({ place }: { place: Place }) {
  const { t, i18n } = useTranslation();
  const minutes = Math.ceil(place.etaMs / 60_000);
  return (
    <div className="claim" data-testid="claim-waiting">
      <p className="title">
        <span className="spinner" aria-hidden="true" />
        {t("flash.place", { place: counted(place.position, i18n.language) })}
      </p>
      <p className="small">
        {minutes > 1
          ? t("flash.etaMinutes", { count: minutes })
          : t("flash.etaSeconds", { count: Math.max(1, Math.ceil(place.etaMs / 1000)) })}
      </p>
      <p className="small muted">{t("flash.placeHint")}</p>
    </div>
  );
}

function AlreadyBought({ orderNo }: { orderNo: string }) {
  const { t } = useTranslation();
  const found = useQuery(order(orderNo));
  const isUnpaid = found.data?.status === Status.Unpaid;
  return (
    <div className="claim good" data-testid="claim-already">
      <p className="title">{t("flash.already")}</p>
      <ButtonLink to={isUnpaid ? `/orders/${orderNo}/pay` : `/orders/${orderNo}`} wide look="primary">
        {isUnpaid ? t("flash.pay") : t("flash.viewOrder")}
      </ButtonLink>
    </div>
  );
}
