import { useTranslation } from "react-i18next";
import { Button, ButtonLink, Empty } from "../ui/Basics";
import { useTitle } from "../lib/hooks";

export function NotFound() {
  const { t } = useTranslation();
  useTitle(t("state.notFound"));
  return (
    <Empty icon="search" title={t("state.notFound")} hint={t("state.notFoundHint")}>
      <ButtonLink to="/" look="primary">
        {t("state.goHome")}
      </ButtonLink>
    </Empty>
  );
}

export function Crashed() {
  const { t } = useTranslation();
  return (
    <Empty icon="warn" title={t("state.crashed")} hint={t("state.crashedHint")}>
      <Button look="primary" onClick={() => location.reload()}>
        {t("state.reload")}
      </Button>
    </Empty>
  );
}
