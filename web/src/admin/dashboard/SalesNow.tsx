/** The sales of the moment: units left by push, time left, and the levers of the product's actor. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Sale } from "../../api/queries";
import { clockText, count, money, remaining } from "../../lib/format";
import { useServerSecond } from "../../lib/hooks";
import { Button, Empty, ErrorNote, LoadingBlocks, Picture } from "../../ui/Basics";
import { ActorCommand, type Ask } from "../actors/ActorCommand";
import { useTopic } from "../live/useFeed";
import { AdminIcon } from "../parts/AdminIcon";
import { Section, Tag } from "../parts/Parts";
import { salesNow } from "../queries";
import type { SaleLevel } from "./figures";

const MOST = 24;

export function SalesNow({ units }: { units: readonly SaleLevel[] }) {
  const { t } = useTranslation("admin");
  const found = useQuery(salesNow);
  const now = useServerSecond();
  const paused = usePausedProducts();
  const [asked, setAsked] = useState<Ask | null>(null);
  const list = latestFirst(found.data?.list ?? [], now);
  return (
    <Section title={t("dashboard.sales")}>
      {found.isPending && <LoadingBlocks count={2} />}
      {found.isError && !found.data && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data && list.length === 0 && (
        <Empty icon="clock" title={t("dashboard.noSales")} hint={t("dashboard.noSalesHint")} />
      )}
      <ul className="sales-now">
        {list.slice(0, MOST).map((sale) => (
          <SaleRow
            key={sale.id}
            sale={sale}
            now={now}
            left={units.find((level) => level.pool === sale.id)?.units ?? sale.stock}
            isPaused={paused.has(String(sale.product_id))}
            onAsk={setAsked}
          />
        ))}
      </ul>
      {asked && <ActorCommand ask={asked} onClose={() => setAsked(null)} />}
    </Section>
  );
}

/** Those that are open, the one that opened last at the top, then those to come. */
function latestFirst(sales: readonly Sale[], now: number): Sale[] {
  const alive = sales.filter((sale) => !sale.closed && now < Date.parse(sale.end_at));
  const starts = (sale: Sale) => Date.parse(sale.start_at);
  const open = alive
    .filter((sale) => starts(sale) <= now)
    .toSorted((a, b) => starts(b) - starts(a) || b.id - a.id);
  const toCome = alive.filter((sale) => starts(sale) > now).toSorted((a, b) => starts(a) - starts(b));
  return [...open, ...toCome];
}

/** Products whose actor an administrator holds on some node. */
function usePausedProducts(): ReadonlySet<string> {
  const vitals = useTopic("vitals");
  const held = vitals?.nodes.flatMap(({ actors }) =>
    actors.filter(({ kind, state }) => kind === "inventory" && state === "paused").map(({ key }) => key),
  );
  return new Set(held);
}

function SaleRow({
  sale,
  now,
  left,
  isPaused,
  onAsk,
}: {
  sale: Sale;
  now: number;
  left: number;
  isPaused: boolean;
  onAsk: (ask: Ask) => void;
}) {
  const { t, i18n } = useTranslation("admin");
  const isOpen = now >= Date.parse(sale.start_at);
  const share = sale.total_stock > 0 ? Math.min(1, left / sale.total_stock) : 0;
  const key = String(sale.product_id);
  const time = clockText(remaining(Date.parse(isOpen ? sale.end_at : sale.start_at), now));
  return (
    <li className="sale-now" data-testid={`sale-now-${sale.id}`}>
      <Picture src={sale.product_image} className="sale-picture" />
      <div className="sale-words">
        <Link to={`/admin/actors/inventory/${key}`} className="two-lines">
          {sale.product_name}
        </Link>
        <div className="row small">
          <span className="number">{money(sale.price)}</span>
          {isPaused && <Tag tone="warn">{t("actors.state.paused")}</Tag>}
          {left <= 0 && <Tag tone="bad">{t("dashboard.soldOut")}</Tag>}
          <span className="muted number">
            {isOpen ? t("dashboard.endsIn", { time }) : t("dashboard.startsIn", { time })}
          </span>
        </div>
        <div className="level" aria-hidden="true">
          <div className="level-fill" style={{ transform: `scaleX(${share})` }} />
        </div>
        <p className="small number">
          {t("dashboard.left", {
            left: count(left, i18n.language),
            total: count(sale.total_stock, i18n.language),
          })}
        </p>
      </div>
      <div className="sale-levers">
        <Button
          size="compact"
          aria-label={t("dashboard.pauseOf", { name: sale.product_name })}
          onClick={() => onAsk({ kind: "inventory", key, command: "pause" })}
        >
          <AdminIcon name="pause" size={16} />
          {t("actors.command.pause")}
        </Button>
        <Button
          size="compact"
          aria-label={t("dashboard.resumeOf", { name: sale.product_name })}
          onClick={() => onAsk({ kind: "inventory", key, command: "resume" })}
        >
          <AdminIcon name="play" size={16} />
          {t("actors.command.resume")}
        </Button>
      </div>
    </li>
  );
}
