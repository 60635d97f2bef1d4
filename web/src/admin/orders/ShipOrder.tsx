/** Hands a paid order to a carrier, once: the buyer's pages show it at once, and he can confirm the receipt. */
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../api/client";
import { formText } from "../../lib/formText";
import { Field } from "../../ui/Field";
import { toast } from "../../ui/toasts";
import { CommandDialog, type Wish } from "../parts/CommandDialog";
import { Facts } from "../parts/Parts";
import type { AdminOrder } from "../queries";
import { addressText, readParcel, type Parcel } from "./parcel";

export function ShipOrder({ order, onClose }: { order: AdminOrder; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const read = ({ form }: Wish) => readParcel((name) => formText(form, name));
  const send = (key: string, wish: Wish) =>
    dataOf(
      api.POST("/api/order/{order_no}/ship", {
        params: { path: { order_no: order.order_no } },
        headers: { "Idempotency-Key": key },
        body: read(wish) as Parcel, // `check` lets nothing else through
      }),
    );
  return (
    <CommandDialog
      title={t("orders.shipTitle", { number: order.order_no })}
      hint={<p>{t("orders.shipHint")}</p>}
      yes={t("orders.ship")}
      check={(wish) => {
        const parcel = read(wish);
        return typeof parcel === "string" ? t(`orders.wrong.${parcel}`) : undefined;
      }}
      send={send}
      onDone={async ({ carrier, tracking_no }) => {
        await client.invalidateQueries({ queryKey: ["admin"] });
        toast(t("orders.shipped", { carrier, number: tracking_no }));
      }}
      onClose={onClose}
    >
      <Facts
        facts={[[t("orders.address"), order.address ? addressText(order.address) : t("orders.noAddress")]]}
      />
      <Field label={t("orders.carrier")} name="carrier" hint={t("orders.carrierHint")} />
      <Field label={t("orders.tracking")} name="tracking_no" autoComplete="off" spellCheck={false} />
    </CommandDialog>
  );
}
