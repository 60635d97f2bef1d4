import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";
import { changed } from "../lib/filters";
import { Icon } from "./Icon";

export function Pager({
  page,
  total,
  forget = [],
}: {
  page: number;
  total: number;
  /** Parameters of the address that belong to this page alone. */
  forget?: readonly string[];
}) {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  if (total <= 1 && page <= 1) return null;
  const forgotten = Object.fromEntries(forget.map((name) => [name, null]));
  const to = (target: number) =>
    changed(params, { ...forgotten, page: target === 1 ? null : String(target) });
  return (
    <nav className="pager" aria-label={t("list.pager")}>
      {page > 1 ? (
        <Link
          to={to(Math.min(page - 1, Math.max(total, 1)))}
          className="icon-button"
          aria-label={t("list.previous")}
        >
          <Icon name="left" />
        </Link>
      ) : (
        <span className="icon-button" />
      )}
      <span className="number">{t("list.pageOf", { page, total })}</span>
      {page < total ? (
        <Link to={to(page + 1)} className="icon-button" aria-label={t("list.next")}>
          <Icon name="right" />
        </Link>
      ) : (
        <span className="icon-button" />
      )}
    </nav>
  );
}
