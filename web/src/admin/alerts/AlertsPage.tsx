import { useTranslation } from "react-i18next";
import { useTopic } from "../live/useFeed";
import { PageHead, Section, Silent } from "../parts/Parts";
import { Alerts } from "./AlertList";

export function AlertsPage() {
  const { t } = useTranslation("admin");
  const frame = useTopic("alerts");
  return (
    <div className="stack loose">
      <PageHead title={t("nav.alerts")} lead={t("alerts.lead")} />
      <Silent nodes={frame?.no_answer} />
      <Section title={t("alerts.open", { count: frame?.open.length ?? 0 })}>
        <Alerts />
      </Section>
      <Section title={t("alerts.ended")}>
        <Alerts ended />
      </Section>
    </div>
  );
}
