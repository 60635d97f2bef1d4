import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { api, dataOf } from "../api/client";
import { addresses as addressQuery, cart as cartQuery, type Address, type Cart } from "../api/queries";
import { money } from "../lib/format";
import { useSession, useTitle } from "../lib/hooks";
import { useOnce } from "../lib/useOnce";
import { Button, ButtonLink, Empty, ErrorNote, LoadingBlocks, Picture, Price } from "../ui/Basics";
import { TextArea } from "../ui/Field";
import { toast } from "../ui/toasts";
import { AddressForm } from "./AddressForm";

const REMARK_MAX = 200;

interface Wish {
  addressId: number;
  remark: string;
  lines: string;
}

export function Checkout() {
  const { t } = useTranslation();
  useTitle(t("checkout.title"));
  const userId = useSession()?.user.id ?? null;
  const cart = useQuery(cartQuery(userId));
  const addresses = useQuery(addressQuery);
  const [chosen, setChosen] = useState<number | null>(null);
  const [remark, setRemark] = useState("");
  const place = usePlaceOrders();
  if (cart.isPending || addresses.isPending) return <LoadingBlocks />;
  if (!cart.data) return <ErrorNote error={cart.error} onRetry={cart.refetch} />;
  if (!addresses.data) return <ErrorNote error={addresses.error} onRetry={addresses.refetch} />;
  if (cart.data.items.length === 0 && place.isIdle) {
    return (
      <Empty icon="cart" title={t("cart.empty")} hint={t("cart.emptyHint")}>
        <ButtonLink to="/products" look="primary">
          {t("cart.shop")}
        </ButtonLink>
      </Empty>
    );
  }
  const address = addresses.data.find(({ id }) => id === chosen) ?? addresses.data[0];
  return (
    <div className="stack loose">
      <h1>{t("checkout.title")}</h1>
      <div className="with-aside">
        <div className="stack loose">
          <Addresses list={addresses.data} chosen={address?.id ?? null} onChoose={setChosen} />
          <Items cart={cart.data} />
          <section className="card">
            <TextArea
              label={t("checkout.remark")}
              isOptional
              placeholder={t("checkout.remarkHint")}
              maxLength={REMARK_MAX}
              value={remark}
              onChange={({ target }) => setRemark(target.value)}
            />
          </section>
        </div>
        <aside className="card aside stack" aria-label={t("common.total")}>
          <div className="sum">
            <span>
              {t("common.total")}{" "}
              <span className="muted small">{t("common.pieces", { count: cart.data.total_count })}</span>
            </span>
            <Price amount={cart.data.total_price} large />
          </div>
          {place.isError && <ErrorNote error={place.error} />}
          <Button
            look="primary"
            size="big"
            disabled={!address}
            busy={place.isPending}
            onClick={() => {
              if (!address) return;
              const lines = cart.data.items.map((line) => `${line.product_id}x${line.quantity}`).join();
              place.mutate({ addressId: address.id, remark: remark.trim(), lines });
            }}
          >
            {place.isPending ? t("checkout.placing") : t("checkout.place")}
          </Button>
          <p className="small muted">{t("checkout.note")}</p>
        </aside>
      </div>
    </div>
  );
}

function usePlaceOrders() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  return useOnce({
    sameness: (wish: Wish) => JSON.stringify(wish),
    mutationFn: (key, { addressId, remark }: Wish) =>
      dataOf(
        api.POST("/api/order/checkout", {
          params: { header: { "Idempotency-Key": key } },
          body: { address_id: addressId, remark },
        }),
      ),
    onSuccess: async (orders) => {
      toast(t("checkout.placed", { count: orders.length }));
      const [only] = orders;
      await navigate(orders.length === 1 && only ? `/orders/${only.order_no}/pay` : "/orders", {
        replace: true,
      });
      void client.invalidateQueries({ queryKey: ["cart"] });
      void client.invalidateQueries({ queryKey: ["mine", "orders"] });
    },
    onError: () => client.invalidateQueries({ queryKey: ["cart"] }),
  });
}

function Addresses({
  list,
  chosen,
  onChoose,
}: {
  list: readonly Address[];
  chosen: number | null;
  onChoose: (id: number) => void;
}) {
  const { t } = useTranslation();
  const [isAdding, setAdding] = useState(false);
  return (
    <section className="card stack" aria-labelledby="deliver-to">
      <div className="row between">
        <h2 id="deliver-to">{t("checkout.address")}</h2>
        <Button look="quiet" size="compact" onClick={() => setAdding(true)}>
          {t("checkout.addAddress")}
        </Button>
      </div>
      {list.length === 0 && (
        <p className="muted">
          {t("checkout.noAddress")} {t("checkout.noAddressHint")}
        </p>
      )}
      <div className="choices" role="radiogroup" aria-labelledby="deliver-to">
        {list.map((address) => (
          <label key={address.id} className="choice">
            <input
              type="radio"
              name="address"
              checked={address.id === chosen}
              onChange={() => onChoose(address.id)}
            />
            <span className="stack tight grow">
              <span className="row">
                <strong>{address.receiver}</strong>
                <span className="muted number">{address.phone}</span>
                {address.is_default && <span className="tag">{t("address.default")}</span>}
              </span>
              <span className="muted">
                {address.region} {address.detail}
              </span>
            </span>
          </label>
        ))}
      </div>
      {isAdding && <AddressForm onClose={() => setAdding(false)} onSaved={({ id }) => onChoose(id)} />}
    </section>
  );
}

function Items({ cart }: { cart: Cart }) {
  const { t } = useTranslation();
  return (
    <section className="card stack" aria-labelledby="items">
      <h2 id="items">{t("checkout.items")}</h2>
      <ul className="lines">
        {cart.items.map((line) => (
          <li key={line.product_id} className="line">
            <Picture src={line.product_image} className="thumb" />
            <div className="stack tight grow">
              <span className="line-name">{line.product_name}</span>
              <span className="line-end">
                <span className="muted number">
                  {money(line.price)} × {line.quantity}
                </span>
                <Price amount={line.sub_total} plain />
              </span>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
