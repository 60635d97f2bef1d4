/** The shop in figures. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api, dataOf } from "../../../api/client";
import type { components } from "../../../api/schema";
import { statusText } from "../../../live/LiveOrders";
import { count, money } from "../../../lib/format";
import { ErrorNote, LoadingBlocks } from "../../../ui/Basics";
import { PageHead, Section, Stat } from "../../parts/Parts";
import { keys } from "../queries";
import { shares } from "../rules/figures";
import { Daily } from "./Daily";

type Figures = components["schemas"]["Statistics"];

const LOOK_EVERY_MS = 10_000;

export function Statistics() {
  const { t } = useTranslation("desk");
  const found = useQuery({
    queryKey: keys.statistics,
    queryFn: ({ signal }) => dataOf(api.GET("/api/admin/statistics", { signal })),
    refetchInterval: LOOK_EVERY_MS,
  });
  return (
    <div className="stack">
      <PageHead title={t("statistics.title")} />
      {found.isPending && <LoadingBlocks />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data && <Shown figures={found.data} />}
      <Daily />
    </div>
  );
}

function Shown({ figures }: { figures: Figures }) {
  const { t, i18n } = useTranslation("desk");
  const shown = (value: number) => count(value, i18n.language);
  const orders = shares(figures.orders);
  const actors = shares(figures.actors);
  return (
    <>
      <dl className="stats roomy">
        <Stat
          label={t("statistics.revenue")}
          value={money(figures.revenue)}
          hint={t("statistics.revenueHint")}
          testid="revenue"
        />
        <Stat
          label={t("statistics.orders")}
          value={shown(orders.reduce((sum, { amount }) => sum + amount, 0))}
          testid="orders"
        />
        <Stat label={t("statistics.users")} value={shown(figures.users)} testid="users" />
        <Stat
          label={t("statistics.products")}
          value={shown(figures.products)}
          hint={t("statistics.productsHint")}
        />
        <Stat
          label={t("statistics.queue")}
          value={figures.queue_depth == null ? "—" : shown(figures.queue_depth)}
          hint={figures.queue_depth == null ? t("statistics.unknown") : undefined}
        />
        <Stat
          label={t("statistics.deadLetters")}
          value={shown(figures.dead_letters)}
          tone={figures.dead_letters > 0 ? "warn" : ""}
        />
      </dl>
      <div className="columns">
        <Section title={t("statistics.byStatus")}>
          {orders.length === 0 && <p className="muted">{t("statistics.noOrders")}</p>}
          <Bars
            rows={orders.map(({ name, amount, share }) => ({
              key: name,
              label: <Link to={`/admin/orders?status=${name}`}>{statusText(Number(name))}</Link>,
              amount,
              share,
            }))}
          />
        </Section>
        <Section title={t("statistics.actors")}>
          <Bars
            rows={actors.map(({ name, amount, share }) => ({
              key: name,
              label: <Link to={`/admin/actors?kind=${name}`}>{name}</Link>,
              amount,
              share,
            }))}
          />
        </Section>
      </div>
    </>
  );
}

interface Bar {
  key: string;
  label: React.ReactNode;
  amount: number;
  share: number;
}

/** The bars say again what the figures say, so screen readers leave them out. */
function Bars({ rows }: { rows: readonly Bar[] }) {
  const { i18n } = useTranslation();
  return (
    <ul className="bars">
      {rows.map(({ key, label, amount, share }) => (
        <li key={key}>
          <span className="bar-label">{label}</span>
          <span className="bar-track" aria-hidden="true">
            <span className="bar-fill" style={{ transform: `scaleX(${share.toFixed(4)})` }} />
          </span>
          <span className="number">{count(amount, i18n.language)}</span>
        </li>
      ))}
    </ul>
  );
}
