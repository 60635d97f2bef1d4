import { useTranslation } from "react-i18next";
import { ButtonLink } from "../ui/Basics";
import { PageHead } from "./parts/Parts";

/** An address below /admin that is none. */
export function NoSuchPage() {
  const { t } = useTranslation();
  const { t: console } = useTranslation("admin");
  return (
    <PageHead title={t("state.notFound")} lead={t("state.notFoundHint")}>
      <ButtonLink to="/admin" size="compact">
        {console("nav.dashboard")}
      </ButtonLink>
    </PageHead>
  );
}
