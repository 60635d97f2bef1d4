/** The last messages that an actor took, latest first: what it was busy with before it fell silent. */
import { useTranslation } from "react-i18next";
import { duration } from "../format";
import { Tag, When, type Tone } from "../parts/Parts";
import type { RecentMessage } from "../queries";

type Outcome = "answered" | "panicked" | "stuck" | "interrupted" | "expired" | "withdrawn";

const TONES: Partial<Record<string, Tone>> = {
  answered: "good",
  panicked: "bad",
  stuck: "bad",
  interrupted: "warn",
  expired: "warn",
  withdrawn: "",
};

export function Recent({ messages, node }: { messages: readonly RecentMessage[]; node: string }) {
  const { t } = useTranslation("admin");
  if (messages.length === 0) return <p className="muted small">{t("actors.recentNone")}</p>;
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls: the keyboard has to get there
    <div className="wide-table" tabIndex={0} role="region" aria-label={`${t("actors.recent")} ${node}`}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("actors.message")}</th>
            <th scope="col">{t("actors.at")}</th>
            <th scope="col">{t("actors.waited")}</th>
            <th scope="col">{t("actors.took")}</th>
            <th scope="col">{t("actors.outcome")}</th>
          </tr>
        </thead>
        <tbody>
          {messages.map(({ message, at_ms, waited_us, took_us, outcome }, index) => (
            <tr key={index}>
              <th scope="row" className="mono">
                {message}
              </th>
              <td>
                <When at={at_ms} exact />
              </td>
              <td>{duration(waited_us / 1000)}</td>
              <td>{took_us == null ? "—" : duration(took_us / 1000)}</td>
              <td>
                <Tag tone={TONES[outcome] ?? ""}>
                  {t(`actors.outcomes.${outcome as Outcome}`, { defaultValue: outcome })}
                </Tag>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
