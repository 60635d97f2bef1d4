/** To whom units belong: the free stock, or a sale. */
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

export function PoolName({ saleId }: { saleId: number | null | undefined }) {
  const { t } = useTranslation("desk");
  if (saleId == null) return <span>{t("stock.freePool")}</span>;
  return <Link to={`/admin/sales/${saleId}`}>{t("stock.saleNo", { id: saleId })}</Link>;
}
