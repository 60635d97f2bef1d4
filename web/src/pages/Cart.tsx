import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api, done } from "../api/client";
import { cart, type Cart } from "../api/queries";
import { useSession, useTitle } from "../lib/hooks";
import { useAddToCart } from "../lib/useAddToCart";
import { Button, ButtonLink, Empty, ErrorNote, LoadingBlocks, Picture, Price, Stepper } from "../ui/Basics";
import { Question } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { toast } from "../ui/toasts";

const QUANTITY_MAX = 999;

type Line = Cart["items"][number];

function isBuyable(line: Line): boolean {
  return line.available && line.quantity <= line.stock;
}

export function CartPage() {
  const { t } = useTranslation();
  useTitle(t("cart.title"));
  const session = useSession();
  const found = useQuery(cart(session?.user.id ?? null));
  const [isClearing, setClearing] = useState(false);
  const items = found.data?.items ?? [];
  return (
    <div className="stack loose">
      <div className="row between">
        <h1>{t("cart.title")}</h1>
        {items.length > 0 && (
          <Button look="quiet" size="compact" onClick={() => setClearing(true)}>
            {t("cart.clear")}
          </Button>
        )}
      </div>
      {found.isPending && <LoadingBlocks />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data && items.length === 0 && (
        <Empty icon="cart" title={t("cart.empty")} hint={t("cart.emptyHint")}>
          <ButtonLink to="/products" look="primary">
            {t("cart.shop")}
          </ButtonLink>
        </Empty>
      )}
      {found.data && items.length > 0 && (
        <div className="with-aside">
          <div className="card">
            <ul className="lines">
              {items.map((line) => (
                <CartLine key={line.product_id} line={line} />
              ))}
            </ul>
          </div>
          <Sum cart={found.data} isSignedIn={session !== null} />
        </div>
      )}
      {isClearing && <ClearCart onClose={() => setClearing(false)} />}
    </div>
  );
}

function Sum({ cart, isSignedIn }: { cart: Cart; isSignedIn: boolean }) {
  const { t } = useTranslation();
  const canCheckOut = cart.items.every(isBuyable);
  return (
    <aside className="card aside stack" aria-label={t("common.total")}>
      <div className="sum">
        <span>
          {t("common.total")}{" "}
          <span className="muted small">{t("common.pieces", { count: cart.total_count })}</span>
        </span>
        <Price amount={cart.total_price} large />
      </div>
      {!canCheckOut && <p className="small muted">{t("cart.fix")}</p>}
      {!canCheckOut ? (
        <Button look="primary" size="big" disabled>
          {t("cart.checkout")}
        </Button>
      ) : (
        <ButtonLink to={isSignedIn ? "/checkout" : "/sign-in?next=/checkout"} look="primary" size="big">
          {isSignedIn ? t("cart.checkout") : t("cart.signInFirst")}
        </ButtonLink>
      )}
      {!isSignedIn && <p className="small muted">{t("cart.guestHint")}</p>}
    </aside>
  );
}

function CartLine({ line }: { line: Line }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const settle = () => client.invalidateQueries({ queryKey: ["cart"] });
  const set = useMutation({
    mutationFn: (quantity: number) =>
      done(api.PUT("/api/cart", { body: { product_id: line.product_id, quantity } })),
    scope: { id: `cart-${line.product_id}` }, // one after the other: the last click wins
    onSettled: settle,
  });
  const add = useAddToCart();
  const remove = useMutation({
    mutationFn: () => done(api.DELETE("/api/cart", { body: { product_id: line.product_id } })),
    onSuccess: () => {
      const { product_id, quantity } = line;
      toast(t("cart.removed"), {
        label: t("cart.undo"),
        onClick: () => add.mutate({ product_id, quantity }),
      });
    },
    onSettled: settle,
  });
  const quantity = set.isPending ? set.variables : line.quantity;
  return (
    <li className="line">
      <Picture src={line.product_image} />
      <div className="stack tight grow">
        <Link to={`/products/${line.product_id}`} className="line-name">
          {line.product_name}
        </Link>
        <div className="row">
          <Price amount={line.price} plain />
          {!line.available && <span className="tag bad">{t("cart.unavailable")}</span>}
          {line.available && line.quantity > line.stock && (
            <span className="tag warn">{t("cart.short", { count: line.stock })}</span>
          )}
        </div>
        <div className="line-end">
          <span className="row">
            <Stepper
              value={quantity}
              max={Math.min(QUANTITY_MAX, line.stock)}
              name={line.product_name}
              onChange={(wanted) => set.mutate(wanted)}
            />
            <button
              type="button"
              className="icon-button"
              aria-label={`${t("common.remove")}: ${line.product_name}`}
              disabled={remove.isPending}
              onClick={() => remove.mutate()}
            >
              <Icon name="trash" size={20} />
            </button>
          </span>
          <Price amount={line.sub_total} />
        </div>
        {set.isError && <ErrorNote error={set.error} />}
        {remove.isError && <ErrorNote error={remove.error} />}
      </div>
    </li>
  );
}

function ClearCart({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const clear = useMutation({
    mutationFn: () => done(api.DELETE("/api/cart/clear")),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["cart"] });
      onClose();
    },
  });
  return (
    <Question
      title={t("cart.clearAsk")}
      yes={t("cart.clear")}
      isGrave
      busy={clear.isPending}
      problem={clear.isError && <ErrorNote error={clear.error} />}
      onYes={() => clear.mutate()}
      onClose={onClose}
    />
  );
}
