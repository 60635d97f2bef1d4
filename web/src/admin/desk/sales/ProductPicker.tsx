/** Which product a sale is of: found by name, among those on the shelf. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useDeferredValue, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../../api/client";
import { count, money } from "../../../lib/format";
import { Button, ErrorNote, Picture } from "../../../ui/Basics";
import { keys, type Product } from "../queries";

const SHOWN_MAX = 8;

export function ProductPicker({
  product,
  problem,
  onPick,
}: {
  product: Product | null;
  problem?: string | undefined;
  onPick: (product: Product | null) => void;
}) {
  const { t, i18n } = useTranslation("desk");
  if (!product) return <Search problem={problem} onPick={onPick} />;
  return (
    <div className="picked">
      <Picture src={product.image_url} className="tiny" />
      <span className="grow stack-inline">
        <strong>{product.name}</strong>
        <span className="small muted number">
          {t("sales.priceNow", { price: money(product.price) })} · {t("products.free")}{" "}
          {count(product.stock, i18n.language)}
        </span>
      </span>
      <Button size="compact" onClick={() => onPick(null)}>
        {t("shared.edit")}
      </Button>
    </div>
  );
}

function Search({ problem, onPick }: { problem: string | undefined; onPick: (product: Product) => void }) {
  const { t, i18n } = useTranslation("desk");
  const id = useId();
  const [typed, setTyped] = useState("");
  const keyword = useDeferredValue(typed.trim());
  const found = useQuery({
    queryKey: [...keys.products, "pick", keyword],
    queryFn: ({ signal }) => {
      const query = { page: 1, page_size: SHOWN_MAX, ...(keyword && { keyword }) };
      return dataOf(api.GET("/api/product", { params: { query }, signal }));
    },
    placeholderData: keepPreviousData,
  });
  return (
    <div className="field">
      <label htmlFor={id}>{t("sales.product")}</label>
      <input
        id={id}
        type="search"
        className="input"
        value={typed}
        maxLength={100}
        placeholder={t("sales.findProduct")}
        aria-invalid={Boolean(problem)}
        aria-describedby={problem ? `${id}-problem` : undefined}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") event.preventDefault(); // the form around it is not meant
        }}
      />
      {problem && (
        <span className="problem" id={`${id}-problem`} role="alert">
          {problem}
        </span>
      )}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data?.list.length === 0 && <p className="muted small">{t("sales.noProduct")}</p>}
      <ul className="picks" aria-label={t("sales.chooseProduct")}>
        {found.data?.list.map((product) => (
          <li key={product.id}>
            <button type="button" onClick={() => onPick(product)}>
              <Picture src={product.image_url} className="tiny" />
              <span className="grow">{product.name}</span>
              <span className="small muted number nowrap">
                {money(product.price)} · {count(product.stock, i18n.language)}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
