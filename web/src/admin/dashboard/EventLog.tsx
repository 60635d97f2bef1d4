/** What happened to actors lately, newest first: restarts, quarantines, orders of administrators. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { ActorEvent } from "../live/frames";
import { useFrames } from "../live/useFeed";
import { Section, Tag, When, type Tone } from "../parts/Parts";

const KEPT = 200;
const SHOWN = 8;

const TONES: Record<string, Tone> = { quarantined: "bad", restarted: "warn", busy: "warn" };

/** Only of one actor, if one is named. */
export function EventLog({ kind, actorKey }: { kind?: string; actorKey?: string }) {
  const { t } = useTranslation("admin");
  const [events, setEvents] = useState<readonly ActorEvent[]>([]);
  const [missed, setMissed] = useState(0);
  useFrames("events", (frame) => {
    setEvents((known) => [...frame.events.toReversed(), ...known].slice(0, KEPT));
    setMissed((sum) => sum + frame.missed);
  });
  const isMeant = (event: ActorEvent) =>
    (kind === undefined || event.kind === kind || event.kind === "*") &&
    (actorKey === undefined || event.key === actorKey || event.key === "*");
  const shown = events.filter(isMeant).slice(0, SHOWN);
  return (
    <Section
      title={t("events.title")}
      aside={missed > 0 && <span className="small muted">{t("events.missed", { count: missed })}</span>}
    >
      {shown.length === 0 ? (
        <p className="muted small">{t("events.none")}</p>
      ) : (
        <ol className="event-list">
          {shown.map((event) => (
            <li key={`${event.node} ${event.seq}`}>
              <Tag tone={TONES[event.what] ?? ""}>
                {t(`events.what.${event.what as "busy"}`, { defaultValue: event.what })}
              </Tag>
              <span className="event-words">
                {event.key === "*" || event.kind === "*" ? (
                  <span className="mono">
                    {event.kind} {event.key}
                  </span>
                ) : (
                  <Link className="mono" to={`/admin/actors/${event.kind}/${encodeURIComponent(event.key)}`}>
                    {event.kind} {event.key}
                  </Link>
                )}{" "}
                <span className="muted">
                  {event.detail} · {event.node}
                </span>
              </span>
              <When at={event.at_ms} />
            </li>
          ))}
        </ol>
      )}
    </Section>
  );
}
