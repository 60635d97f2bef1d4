/** A sale as it runs: figures of all nodes, pushed every second and drawn as they come. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { compact, duration } from "../format";
import { useTopic } from "../live/useFeed";
import { Alerts } from "../alerts/AlertList";
import { PageHead, Section, Silent, Stat } from "../parts/Parts";
import { reviewCount } from "../queries";
import { Chart } from "./Chart";
import { EventLog } from "./EventLog";
import type { Point } from "./history";
import { NodeStrip } from "./NodeStrip";
import { SalesNow } from "./SalesNow";
import { OUTCOMES, STEPS, allOf, lineOf, sumOf, timesOf } from "./shown";
import { useHistory } from "./useHistory";

export function Dashboard() {
  const { t } = useTranslation("admin");
  const points = useHistory();
  const silent = useTopic("vitals")?.no_answer;
  return (
    <div className="stack">
      <PageHead title={t("dashboard.title")} lead={t("dashboard.lead")} />
      <Silent nodes={silent} />
      <Tiles point={points.at(-1) ?? null} />
      <div className="columns">
        <Clicks points={points} />
        <Times points={points} />
        <Steps points={points} />
        <Lags points={points} />
      </div>
      <div className="columns">
        <SalesNow units={points.at(-1)?.units ?? []} />
        <div className="stack">
          <Section
            title={t("dashboard.alerts")}
            aside={
              <Link to="/admin/alerts" className="small">
                {t("dashboard.all")}
              </Link>
            }
          >
            <Alerts most={5} />
          </Section>
          <NodeStrip />
          <EventLog />
        </div>
      </div>
    </div>
  );
}

/** A queue or a lag beyond this deserves a look. */
const QUEUE_WARN = 1_000;
const LAG_WARN_S = 10;

function Tiles({ point }: { point: Point | null }) {
  const { t, i18n } = useTranslation("admin");
  const alerts = useTopic("alerts")?.open.length ?? 0;
  const letters = useTopic("vitals")?.nodes.reduce((sum, node) => sum + node.dead_letters, 0) ?? 0;
  const rate = (value: number | undefined) =>
    value === undefined ? "—" : compact(Math.round(value), i18n.language);
  const time = (value: number | null | undefined) => (value == null ? "—" : duration(value));
  const lag = Math.max(0, ...(point?.lags.values() ?? []));
  const isPushed = point?.review !== null;
  const asked = useQuery({ ...reviewCount, enabled: !isPushed }).data;
  const review = point?.review ?? asked;
  const queue = point?.queue ?? 0;
  return (
    <dl className="stats dense">
      <Stat
        label={t("dashboard.clicks")}
        value={rate(point ? allOf(point.clicks) : undefined)}
        hint={t("dashboard.perSecond")}
        testid="tile-clicks"
      />
      <Stat
        label={t("dashboard.accepted")}
        value={rate(point?.clicks.get("accepted") ?? (point ? 0 : undefined))}
        hint={t("dashboard.perSecond")}
        tone="good"
        testid="tile-accepted"
      />
      <Stat label="p50" value={time(point?.p50)} hint={t("dashboard.overSeconds")} />
      <Stat label="p99" value={time(point?.p99)} hint={t("dashboard.overSeconds")} />
      <Stat
        label={t("dashboard.queue")}
        value={rate(queue)}
        hint={t("dashboard.queueHint")}
        tone={queue > QUEUE_WARN ? "warn" : ""}
      />
      <Stat
        label={t("dashboard.lag")}
        value={lag > 0 ? duration(lag * 1000) : "0"}
        hint={t("dashboard.lagHint")}
        tone={lag > LAG_WARN_S ? "warn" : ""}
      />
      <Stat
        label={t("dashboard.review")}
        value={<Link to="/admin/orders?needs_review=true">{rate(review)}</Link>}
        hint={t("dashboard.reviewHint")}
        tone={(review ?? 0) > 0 ? "bad" : ""}
        testid="tile-review"
      />
      <Stat
        label={t("dashboard.alerts")}
        value={<Link to="/admin/alerts">{alerts}</Link>}
        hint={t("dashboard.standing")}
        tone={alerts > 0 ? "bad" : ""}
      />
      <Stat
        label={t("nav.dead")}
        value={<Link to="/admin/dead">{rate(letters)}</Link>}
        hint={t("dashboard.sinceStart")}
        tone={letters > 0 ? "warn" : ""}
      />
      <Stat label={t("dashboard.sockets")} value={rate(point?.sockets)} hint={t("dashboard.buyers")} />
    </dl>
  );
}

interface Drawn {
  points: readonly (Point | null)[];
}

function Clicks({ points }: Drawn) {
  const { t, i18n } = useTranslation("admin");
  const lines = OUTCOMES.map(([name, color, outcomes]) =>
    lineOf(points, t(`dashboard.outcome.${name}`), color, (point) => sumOf(point.clicks, outcomes), {
      isFilled: name === "accepted",
    }),
  );
  return (
    <Section title={t("dashboard.clicksChart")}>
      <Chart
        title={t("dashboard.clicksChart")}
        times={timesOf(points)}
        lines={lines}
        format={(value) => compact(Math.round(value * 10) / 10, i18n.language)}
      />
    </Section>
  );
}

function Times({ points }: Drawn) {
  const { t } = useTranslation("admin");
  return (
    <Section title={t("dashboard.timesChart")}>
      <Chart
        title={t("dashboard.timesChart")}
        times={timesOf(points)}
        lines={[
          lineOf(points, "p50", "--good", (point) => point.p50),
          lineOf(points, "p99", "--accent", (point) => point.p99),
        ]}
        format={duration}
        isLogarithmic
      />
    </Section>
  );
}

function Steps({ points }: Drawn) {
  const { t, i18n } = useTranslation("admin");
  const lines = STEPS.map(([name, color, events]) =>
    lineOf(points, t(`dashboard.step.${name}`), color, (point) => sumOf(point.steps, events)),
  );
  return (
    <Section title={t("dashboard.stepsChart")}>
      <Chart
        title={t("dashboard.stepsChart")}
        times={timesOf(points)}
        lines={lines}
        format={(value) => compact(Math.round(value * 10) / 10, i18n.language)}
      />
    </Section>
  );
}

function Lags({ points }: Drawn) {
  const { t, i18n } = useTranslation("admin");
  return (
    <Section title={t("dashboard.queueChart")}>
      <Chart
        title={t("dashboard.queueChart")}
        times={timesOf(points)}
        lines={[
          lineOf(points, t("dashboard.queue"), "--accent", (point) => point.queue, { isFilled: true }),
          lineOf(points, t("dashboard.outbox"), "--info", (point) => point.outbox),
          lineOf(
            points,
            t("dashboard.waitingPay"),
            "--warn",
            (point) => point.orders.get("pending_payment") ?? 0,
            {
              isDashed: true,
            },
          ),
        ]}
        format={(value) => compact(Math.round(value), i18n.language)}
      />
    </Section>
  );
}
