/** Payments and refunds as rows, in their lists and at their order. */
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { moneyColumn, orderColumn, whenColumn } from "../parts/columns";
import { Rows, type Columns } from "../parts/DataTable";
import { Mono, Tag, type Tone } from "../parts/Parts";
import type { Payment, Refund } from "../queries";

type T = ReturnType<typeof useTranslation<"admin">>["t"];

const PAYMENT_TONES: Record<string, Tone> = { captured: "good", open: "warn" };
const REFUND_TONES: Record<string, Tone> = {
  succeeded: "good",
  processing: "warn",
  abnormal: "bad",
  closed: "bad",
};

export function paymentColumns(t: T, isOwn: boolean): Columns<Payment> {
  return [
    {
      id: "payment",
      header: t("money.number"),
      meta: { width: isOwn ? "minmax(236px, 1.2fr)" : "minmax(120px, 0.5fr)" },
      cell: ({ row: { original } }) => <Mono text={original.payment_no} short={!isOwn} />,
    },
    ...(isOwn ? [] : [orderColumn<Payment>(t("orders.number"))]),
    {
      id: "channel",
      header: t("money.channel"),
      meta: { width: "minmax(104px, 0.5fr)" },
      cell: ({ row: { original } }) =>
        t(`money.channels.${original.channel as "wechat"}`, { defaultValue: original.channel }),
    },
    {
      id: "state",
      header: t("money.state"),
      meta: { width: "minmax(96px, 0.5fr)" },
      cell: ({ row: { original } }) => (
        <Tag tone={PAYMENT_TONES[original.state] ?? ""}>
          {t(`money.paymentState.${original.state as "open"}`, { defaultValue: original.state })}
        </Tag>
      ),
    },
    moneyColumn("amount", t("orders.amount"), (row) => row.amount),
    {
      id: "transaction",
      header: t("money.gatewayNo"),
      meta: { width: "minmax(100px, 1fr)", isExtra: true },
      cell: ({ row }) => <Mono text={row.original.transaction_id} />,
    },
    whenColumn("created", t("money.begun"), (row) => row.created_at, {
      width: "minmax(183px, 0.8fr)",
      align: "end",
    }),
    whenColumn("captured", t("money.came"), (row) => row.captured_at, {
      width: "minmax(183px, 0.8fr)",
      align: "end",
    }),
  ];
}

export function refundColumns(t: T, isOwn: boolean): Columns<Refund> {
  return [
    {
      id: "refund",
      header: t("money.number"),
      meta: { width: isOwn ? "minmax(236px, 1.2fr)" : "minmax(120px, 0.5fr)" },
      cell: ({ row: { original } }) => <Mono text={original.refund_no} short={!isOwn} />,
    },
    ...(isOwn ? [] : [orderColumn<Refund>(t("orders.number"))]),
    {
      id: "state",
      header: t("money.state"),
      meta: { width: "minmax(116px, 0.8fr)" },
      cell: ({ row: { original } }) => (
        <span className="tags">
          <Tag tone={REFUND_TONES[original.state] ?? ""}>
            {t(`money.refundState.${original.state as "closed"}`, { defaultValue: original.state })}
          </Tag>
          {original.purpose === "surplus" && <Tag>{t("money.surplus")}</Tag>}
        </span>
      ),
    },
    moneyColumn("amount", t("orders.amount"), (row) => row.amount),
    {
      id: "reason",
      header: t("money.reason"),
      meta: { width: "minmax(160px, 1.2fr)" },
      cell: ({ row }) => <span className="two-lines">{row.original.reason || "—"}</span>,
    },
    whenColumn("created", t("money.asked"), (row) => row.created_at, {
      width: "minmax(183px, 0.8fr)",
      align: "end",
    }),
    whenColumn("ended", t("money.ended"), (row) => row.ended_at, {
      width: "minmax(183px, 0.8fr)",
      align: "end",
    }),
  ];
}

export function PaymentRows({ payments, isOwn }: { payments: readonly Payment[]; isOwn: boolean }) {
  const { t } = useTranslation("admin");
  const columns = useMemo(() => paymentColumns(t, isOwn), [t, isOwn]);
  if (payments.length === 0) return <p className="muted small">{t("money.noPayments")}</p>;
  return (
    <Rows label={t("orders.payments")} columns={columns} rows={payments} rowKey={(one) => one.payment_no} />
  );
}

export function RefundRows({ refunds, isOwn }: { refunds: readonly Refund[]; isOwn: boolean }) {
  const { t } = useTranslation("admin");
  const columns = useMemo(() => refundColumns(t, isOwn), [t, isOwn]);
  return (
    <Rows label={t("orders.refunds")} columns={columns} rows={refunds} rowKey={(one) => one.refund_no} />
  );
}
