/** The actors with most waiting messages on all nodes, pushed every second. */
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { duration } from "../format";
import { useTopic } from "../live/useFeed";
import { Section, Tag } from "../parts/Parts";
import { hottest } from "./hot";
import { stateTone } from "./tones";

const SHOWN = 10;

export function HotKeys() {
  const { t } = useTranslation("admin");
  const vitals = useTopic("vitals");
  const hot = hottest(vitals?.nodes ?? [], SHOWN);
  const most = Math.max(1, ...hot.map(({ queued, in_flight }) => queued + in_flight));
  return (
    <Section title={t("actors.hot")} aside={<span className="small muted">{t("actors.hotHint")}</span>}>
      {vitals && hot.length === 0 && <p className="muted small">{t("actors.hotNone")}</p>}
      <ol className="hot-list">
        {hot.map((one) => (
          <li key={`${one.node} ${one.kind} ${one.key}`}>
            <div className="row between">
              <Link className="mono" to={`/admin/actors/${one.kind}/${encodeURIComponent(one.key)}`}>
                {one.kind} {one.key}
              </Link>
              <span className="row small">
                {one.state !== "running" && (
                  <Tag tone={stateTone(one.state)}>
                    {t(`actors.state.${one.state as "paused"}`, { defaultValue: one.state })}
                  </Tag>
                )}
                <span className="muted mono">{one.node}</span>
              </span>
            </div>
            <div className="level thin" aria-hidden="true">
              <div
                className="level-fill"
                style={{ transform: `scaleX(${(one.queued + one.in_flight) / most})` }}
              />
            </div>
            <p className="small muted number">
              {t("actors.hotLine", {
                queued: one.queued,
                inFlight: one.in_flight,
                handled: one.handled,
                mean: duration(one.handling_mean_us / 1000),
              })}
            </p>
          </li>
        ))}
      </ol>
    </Section>
  );
}
