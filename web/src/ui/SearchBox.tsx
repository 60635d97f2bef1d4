import { useTranslation } from "react-i18next";
import { useNavigate, useSearchParams } from "react-router";
import { Icon } from "./Icon";

/** Leads to the list; there it keeps the filters that are set. */
export function SearchBox({ isInPage = false }: { isInPage?: boolean }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [params] = useSearchParams();
  const keyword = params.get("keyword") ?? "";
  return (
    <form
      className={isInPage ? "search in-page" : "search"}
      role="search"
      aria-label={isInPage ? t("list.title") : t("list.search")}
      onSubmit={(event) => {
        event.preventDefault();
        const wanted = new FormData(event.currentTarget).get("keyword");
        const text = typeof wanted === "string" ? wanted.trim() : "";
        const next = location.pathname === "/products" ? new URLSearchParams(params) : new URLSearchParams();
        next.delete("page");
        if (text) next.set("keyword", text);
        else next.delete("keyword");
        void navigate(`/products?${next.toString()}`);
      }}
    >
      <input
        key={keyword}
        className="input"
        type="search"
        name="keyword"
        defaultValue={keyword}
        maxLength={100}
        aria-label={t("list.search")}
        placeholder={t("list.search")}
        autoComplete="off"
        enterKeyHint="search"
      />
      <button className="icon-button" aria-label={t("list.go")}>
        <Icon name="search" size={20} />
      </button>
    </form>
  );
}
