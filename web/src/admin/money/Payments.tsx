/** All payments and, on the other tab, all refunds. What moves them is done at their order. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { DataTable } from "../parts/DataTable";
import { dayEnd, dayStart } from "../parts/days";
import { FilterBar, type FilterField } from "../parts/FilterBar";
import { PageHead } from "../parts/Parts";
import { Tabs } from "../parts/Tabs";
import { useTableState } from "../parts/useTableState";
import { paymentList, refundList } from "../queries";
import { paymentColumns, refundColumns } from "./MoneyRows";

type Filter = "order_no" | "channel" | "state" | "from" | "to";

const FILTERS: readonly Filter[] = ["order_no", "channel", "state", "from", "to"];
const CHANNELS = ["wechat", "alipay", "card", "simulated"] as const;
const PAYMENT_STATES = ["open", "captured", "closed"] as const;
const REFUND_STATES = ["processing", "succeeded", "abnormal", "closed"] as const;

function Head() {
  const { t } = useTranslation("admin");
  return (
    <>
      <PageHead title={t("nav.payments")} lead={t("money.lead")} />
      <Tabs
        label={t("nav.payments")}
        tabs={[
          ["/admin/payments", t("orders.payments")],
          ["/admin/payments/refunds", t("orders.refunds")],
        ]}
      />
    </>
  );
}

function useFields(states: readonly { value: string; label: string }[]): FilterField<Filter>[] {
  const { t } = useTranslation("admin");
  return [
    { name: "order_no", label: t("orders.number"), kind: "text", hint: t("orders.numberHint") },
    {
      name: "channel",
      label: t("money.channel"),
      kind: "choice",
      options: CHANNELS.map((channel) => ({ value: channel, label: t(`money.channels.${channel}`) })),
    },
    { name: "state", label: t("money.state"), kind: "choice", options: states },
    { name: "from", label: t("table.from"), kind: "day" },
    { name: "to", label: t("table.to"), kind: "day" },
  ];
}

export function Payments() {
  const { t } = useTranslation("admin");
  const table = useTableState<Filter>(FILTERS);
  const { from, to, ...filters } = table.filters;
  const found = useQuery(paymentList({ ...filters, from: dayStart(from), to: dayEnd(to) }, table.page));
  const states = PAYMENT_STATES.map((state) => ({ value: state, label: t(`money.paymentState.${state}`) }));
  const columns = useMemo(() => paymentColumns(t, false), [t]);
  return (
    <div className="stack">
      <Head />
      <FilterBar table={table} fields={useFields(states)} />
      <DataTable
        label={t("orders.payments")}
        columns={columns}
        found={found}
        rowKey={(payment) => payment.payment_no}
        empty={{ icon: "search", title: t("money.noPayments"), hint: t("table.noneHint") }}
      />
    </div>
  );
}

export function Refunds() {
  const { t } = useTranslation("admin");
  const table = useTableState<Filter>(FILTERS);
  const { from, to, ...filters } = table.filters;
  const found = useQuery(refundList({ ...filters, from: dayStart(from), to: dayEnd(to) }, table.page));
  const states = REFUND_STATES.map((state) => ({ value: state, label: t(`money.refundState.${state}`) }));
  const columns = useMemo(() => refundColumns(t, false), [t]);
  return (
    <div className="stack">
      <Head />
      <FilterBar table={table} fields={useFields(states)} />
      <DataTable
        label={t("orders.refunds")}
        columns={columns}
        found={found}
        rowKey={(refund) => refund.refund_no}
        empty={{ icon: "search", title: t("money.noRefunds"), hint: t("table.noneHint") }}
      />
    </div>
  );
}
