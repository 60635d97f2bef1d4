/** Alerts as they stand, pushed with every change; each leads to what it is about. */
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Empty, LoadingBlocks } from "../../ui/Basics";
import type { Alert } from "../live/frames";
import { useTopic } from "../live/useFeed";
import { Tag, When } from "../parts/Parts";
import { placeOf } from "./place";
import { subjectOf, textOf } from "./words";

type Kind = "quarantine" | "drift";

export function Alerts({ most, ended = false }: { most?: number; ended?: boolean }) {
  const { t } = useTranslation("admin");
  const frame = useTopic("alerts");
  if (!frame) return <LoadingBlocks count={1} />;
  const list = ended ? frame.ended : sorted(frame.open);
  if (list.length === 0) {
    return ended ? (
      <p className="muted small">{t("alerts.noneEnded")}</p>
    ) : (
      <Empty icon="check" title={t("alerts.none")} hint={t("alerts.noneHint")} />
    );
  }
  return (
    <ul className="alert-list">
      {list.slice(0, most).map((alert) => (
        <AlertRow key={`${alert.node} ${alert.kind} ${alert.subject} ${alert.raised_at_ms}`} alert={alert} />
      ))}
      {most !== undefined && list.length > most && (
        <li className="small muted">{t("alerts.more", { count: list.length - most })}</li>
      )}
    </ul>
  );
}

function sorted(alerts: readonly Alert[]): Alert[] {
  const weight = (alert: Alert) => (alert.severity === "critical" ? 0 : 1);
  return alerts.toSorted((a, b) => weight(a) - weight(b) || b.raised_at_ms - a.raised_at_ms);
}

function AlertRow({ alert }: { alert: Alert }) {
  const { t } = useTranslation("admin");
  const { kind, severity, node, raised_at_ms, resolved_at_ms, told } = alert;
  const subject = subjectOf(alert, t);
  const place = placeOf(alert);
  const isOver = resolved_at_ms != null;
  return (
    <li className={isOver ? "alert over" : `alert ${severity}`} data-testid={`alert-${kind}`}>
      <div className="row between">
        <span className="row">
          <Tag tone={isOver ? "" : severity === "critical" ? "bad" : "warn"}>
            {t(`alerts.kind.${kind as Kind}`, { defaultValue: kind })}
          </Tag>
          {place ? (
            <Link to={place} className="alert-subject">
              {subject}
            </Link>
          ) : (
            <span className="alert-subject">{subject}</span>
          )}
        </span>
        <span className="small muted">
          <When at={resolved_at_ms ?? raised_at_ms} />
        </span>
      </div>
      <p className="small">{textOf(alert, t)}</p>
      <p className="small muted">
        {node}
        {(told ?? 1) > 1 && ` · ${t("alerts.told", { count: told ?? 1 })}`}
      </p>
    </li>
  );
}
