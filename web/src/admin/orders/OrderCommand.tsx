/** What is done with one order: said before, told afterwards by the order itself. */
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../api/client";
import { formText } from "../../lib/formText";
import { money } from "../../lib/format";
import { Field } from "../../ui/Field";
import { toast } from "../../ui/toasts";
import { commandOf, readFields } from "../actors/commands";
import { CommandDialog } from "../parts/CommandDialog";
import type { AdminOrder } from "../queries";
import { refundableFen, type OrderWord } from "./actions";

export function OrderCommand({
  order,
  word,
  onClose,
}: {
  order: AdminOrder;
  word: OrderWord;
  onClose: () => void;
}) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const most = refundableFen(order);
  const read = (form: FormData) => readFields(commandOf("order_saga", word), (name) => formText(form, name));
  const name = t(`actors.command.${word}`);
  return (
    <CommandDialog
      title={`${name}: ${order.order_no}`}
      hint={<p>{t(`actors.says.${word}`)}</p>}
      yes={name}
      isGrave={word === "cancel" || word === "refund"}
      {...(word === "clear-review" || word === "refund" ? { reason: "required" as const } : {})}
      check={({ form }) => {
        const given = read(form);
        // The reason says itself that it is missing.
        if (typeof given === "string") return given === "reason" ? undefined : t(`actors.wrong.${given}`);
        return (given.refund_fee ?? 0) > most ? t("orders.tooMuch", { max: money(most / 100) }) : undefined;
      }}
      send={(key, { form, reason }) => {
        const given = read(form);
        return dataOf(
          api.POST("/api/admin/orders/{order_no}/{command}", {
            params: { path: { order_no: order.order_no, command: word }, header: { "Idempotency-Key": key } },
            body: { ...(typeof given === "object" && given), reason },
          }),
        );
      }}
      onDone={async () => {
        await client.invalidateQueries({ queryKey: ["admin"] });
        toast(t("orders.done", { name }));
      }}
      onClose={onClose}
    >
      {word === "refund" && (
        <Field
          label={t("actors.field.refund_fee")}
          name="refund_fee"
          isOptional
          inputMode="decimal"
          autoComplete="off"
          hint={t("orders.refundHint", { max: money(most / 100) })}
        />
      )}
    </CommandDialog>
  );
}
