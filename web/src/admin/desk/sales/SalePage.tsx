/** One sale while it is planned, while it runs and after it: its state, its units, its terms, and what can be done. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { count, money } from "../../../lib/format";
import { useServerSecond } from "../../../lib/hooks";
import { statusText } from "../../../live/LiveOrders";
import { saleAddress } from "../../../live/sale";
import { Button, ButtonLink, ErrorNote, LoadingBlocks, Note } from "../../../ui/Basics";
import { StockBar } from "../../../ui/SaleParts";
import { Facts, PageHead, Section, Stat, Tag, When } from "../../parts/Parts";
import { saleQuery, type SaleDetail } from "../queries";
import { actionsOf, phaseOf, type SaleAction } from "../rules/sales";
import { ChangeSale } from "./ChangeSale";
import { CloseSale, OpenNow } from "./SaleQuestions";
import { CommandRoom, SaleRoom } from "./SaleRoom";
import { PhaseTag, SaleClock } from "./SaleState";

export function SalePage() {
  const id = Number(useParams().id);
  const found = useQuery(saleQuery(id));
  if (found.data) return <Shown key={id} sale={found.data} />;
  return found.error ? <ErrorNote error={found.error} onRetry={found.refetch} /> : <LoadingBlocks />;
}

function Shown({ sale }: { sale: SaleDetail }) {
  const { t, i18n } = useTranslation("desk");
  const now = useServerSecond();
  const [asked, setAsked] = useState<SaleAction | null>(null);
  const phase = phaseOf(sale, now);
  const actions = actionsOf(phase);
  const shown = (value: number) => count(value, i18n.language);
  // The gate knows of units whose orders are not written yet.
  const left = sale.gate_left ?? sale.stock;
  const close = () => setAsked(null);
  return (
    <div className="stack">
      <PageHead title={sale.product_name} lead={t("sales.of", { id: sale.id })}>
        <PhaseTag sale={sale} now={now} />
        {sale.paused && <Tag tone="warn">{t("sales.paused")}</Tag>}
        {phase === "upcoming" && <Preloaded is={sale.preloaded} />}
        <SaleClock sale={sale} now={now} />
        <ButtonLink to={saleAddress(sale)} size="compact">
          {t("shared.inShop")}
        </ButtonLink>
      </PageHead>
      {phase === "closed" && <Note tone="info">{t("sales.closedNote")}</Note>}
      {phase === "ended" && <Note tone="warn">{t("sales.endedNote")}</Note>}
      <dl className="stats roomy">
        <Stat label={t("sales.leftUnits")} value={shown(left)} testid="sale-left" />
        <Stat label={t("sales.heldUnits")} value={shown(sale.held)} testid="sale-held" />
        <Stat label={t("sales.soldUnits")} value={shown(sale.sold)} testid="sale-sold" />
        <Stat label={t("sales.totalUnits")} value={shown(sale.total_stock)} />
        <Stat label={t("sales.revenue")} value={money(sale.revenue)} />
      </dl>
      <StockBar left={left} total={sale.total_stock} />
      <div className="columns">
        <Section title={t("sales.window")}>
          <Facts
            facts={[
              [t("sales.price"), <span className="number">{money(sale.price)}</span>],
              [t("shared.price"), <span className="number">{money(sale.original_price)}</span>],
              [t("sales.limit"), <span className="number">{sale.per_user_limit}</span>],
              [t("sales.start"), <When at={sale.start_at} exact />],
              [t("sales.end"), <When at={sale.end_at} exact />],
            ]}
          />
        </Section>
        <OrdersByState sale={sale} />
        {phase !== "closed" && <SaleRoom sale={sale} />}
        <Section title={t("shared.actions")}>
          <div className="row">
            {actions.includes("openNow") && (
              <Button look="primary" onClick={() => setAsked("openNow")}>
                {t("sales.openNow")}
              </Button>
            )}
            {actions.includes("change") && (
              <Button onClick={() => setAsked("change")}>{t("sales.change")}</Button>
            )}
            {actions.includes("room") && (
              <Button onClick={() => setAsked("room")}>{t("sales.commandRoom")}</Button>
            )}
            {actions.includes("close") && (
              <Button look="danger" onClick={() => setAsked("close")}>
                {t("sales.close")}
              </Button>
            )}
          </div>
          <ul className="link-list">
            <li>
              <Link to={`/admin/stock/${sale.product_id}`}>{t("products.toStock")}</Link>
            </li>
            <li>
              <Link to={`/admin/products/${sale.product_id}`}>{t("products.edit")}</Link>
            </li>
            <li>
              <Link to={`/admin/orders?sale_id=${sale.id}`}>{t("sales.orders")}</Link>
            </li>
            <li>
              <Link to={`/admin/actors/inventory/${sale.product_id}`}>{t("sales.actor")}</Link>
            </li>
          </ul>
        </Section>
      </div>
      {asked === "change" && <ChangeSale sale={sale} onClose={close} />}
      {asked === "room" && <CommandRoom sale={sale} onClose={close} />}
      {asked === "openNow" && <OpenNow sale={sale} onClose={close} />}
      {asked === "close" && <CloseSale sale={sale} onClose={close} />}
    </div>
  );
}

/** Units and terms lie at the gate before the first click. */
function Preloaded({ is }: { is: boolean | null | undefined }) {
  const { t } = useTranslation("desk");
  if (is == null) return null;
  return <Tag tone={is ? "good" : "warn"}>{t(is ? "sales.preloaded" : "sales.notPreloaded")}</Tag>;
}

function OrdersByState({ sale }: { sale: SaleDetail }) {
  const { t, i18n } = useTranslation("desk");
  return (
    <Section title={t("statistics.byStatus")}>
      {sale.orders.length === 0 && <p className="muted">{t("statistics.noOrders")}</p>}
      <Facts
        facts={sale.orders.map(({ status, orders, total }) => [
          statusText(status),
          <span className="row between">
            <span className="number">{count(orders, i18n.language)}</span>
            <span className="number muted">{money(total)}</span>
          </span>,
        ])}
      />
    </Section>
  );
}
