import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../api/client";
import { orderKey, type OrderDetail } from "../api/queries";
import { isAmount } from "../lib/filters";
import { formText } from "../lib/formText";
import { money } from "../lib/format";
import { fenOf, refundable } from "../lib/money";
import { useOnce } from "../lib/useOnce";
import { Button, ErrorNote } from "../ui/Basics";
import { Dialog } from "../ui/Dialog";
import { Field, TextArea } from "../ui/Field";
import { toast } from "../ui/toasts";

interface Wish {
  fen: number | null;
  reason: string;
}

export function RefundDialog({ order, onClose }: { order: OrderDetail; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [problem, setProblem] = useState<string>();
  const most = refundable(order);
  const refund = useOnce({
    sameness: (wish: Wish) => JSON.stringify(wish),
    mutationFn: (key, { fen, reason }: Wish) =>
      dataOf(
        api.POST("/api/pay/{channel}/refund", {
          // The order knows how it was paid; the path has to name a channel all the same.
          params: {
            path: { channel: order.pay_type === 1 ? "alipay" : "wechat" },
            header: { "Idempotency-Key": key },
          },
          body: { order_no: order.order_no, reason, ...(fen !== null && { refund_fee: fen }) },
        }),
      ),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: orderKey(order.order_no) });
      toast(t("order.refundSent"));
      onClose();
    },
  });
  const submit = (form: FormData) => {
    const text = formText(form, "amount");
    const reason = formText(form, "reason");
    const fen = text === "" ? null : fenOf(text);
    const isWrong = text !== "" && (!isAmount(text) || fen === 0);
    const isTooMuch = fen !== null && fen > most;
    setProblem(isWrong ? t("check.amount") : isTooMuch ? t("order.refundTooMuch") : undefined);
    if (!isWrong && !isTooMuch) refund.mutate({ fen, reason });
  };
  return (
    <Dialog title={t("order.refundTitle")} onClose={onClose}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          submit(new FormData(event.currentTarget));
        }}
      >
        <Field
          label={t("order.refundAmount")}
          isOptional
          name="amount"
          inputMode="decimal"
          hint={t("order.refundAmountHint", { max: money(most / 100) })}
          problem={problem}
        />
        <TextArea label={t("order.refundReason")} isOptional name="reason" maxLength={80} />
        {refund.isError && <ErrorNote error={refund.error} />}
        <div className="dialog-actions">
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button type="submit" look="primary" busy={refund.isPending}>
            {t("order.refundSubmit")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
