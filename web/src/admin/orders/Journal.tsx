/** Every event of an order as it is stored, and whether the chain of hashes holds. */
import { useTranslation } from "react-i18next";
import { Note } from "../../ui/Basics";
import { Json } from "../parts/Json";
import { Mono, Section, Tag, When } from "../parts/Parts";
import type { AdminOrder } from "../queries";

type EventWord = "order_placed";

export function Journal({ journal }: { journal: AdminOrder["journal"] }) {
  const { t } = useTranslation("admin");
  const { t: shop } = useTranslation();
  return (
    <Section
      title={t("orders.journal")}
      aside={
        journal.entries.length > 0 && (
          <Tag tone={journal.intact ? "good" : "bad"}>
            {journal.intact ? t("orders.intact") : t("orders.broken", { seq: journal.broken_at ?? "?" })}
          </Tag>
        )
      }
    >
      {journal.entries.length === 0 && <p className="muted small">{t("orders.noJournal")}</p>}
      {!journal.intact && <Note tone="bad">{t("orders.brokenNote")}</Note>}
      <ol className="journal">
        {journal.entries.map(({ seq, event, at, hash, fits, detail, commit_no }) => (
          <li key={seq} className={fits ? "" : "broken"}>
            <details>
              <summary>
                <span className="number muted">{seq}</span>
                <span className="journal-event">
                  {shop(`order.event.${event as EventWord}`, { defaultValue: event })}
                </span>
                {!fits && <Tag tone="bad">{t("orders.doesNotFit")}</Tag>}
                <When at={at} exact />
              </summary>
              <div className="stack tight journal-detail">
                <p className="small">
                  <span className="muted">{t("orders.hash")}</span> <Mono text={hash} />
                </p>
                <p className="small muted">
                  {event} · {t("orders.commit", { number: commit_no })}
                </p>
                <Json value={detail} />
              </div>
            </details>
          </li>
        ))}
      </ol>
    </Section>
  );
}
