/** One run: what the bill and the books do not agree on. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { money } from "../../lib/format";
import { Note } from "../../ui/Basics";
import { DataTable, type Columns } from "../parts/DataTable";
import { FilterBar, type FilterField } from "../parts/FilterBar";
import { Facts, Mono, PageHead, Section, Tag, When } from "../parts/Parts";
import { useTableState } from "../parts/useTableState";
import { run, type Difference, type Run } from "../queries";
import { Differences, isCompared, runTone } from "./Reconciliation";

type Filter = "kind" | "open";
type T = ReturnType<typeof useTranslation<"admin">>["t"];

const KINDS = [
  "paid_there_unpaid_here",
  "paid_here_missing_there",
  "amount_differs",
  "refund_state_differs",
  "refund_amount_differs",
  "refund_here_missing_there",
  "refund_there_missing_here",
  "duplicate",
  "unknown_number",
] as const;

export function RunPage() {
  const { id = "" } = useParams();
  const { t } = useTranslation("admin");
  const table = useTableState<Filter>(["kind", "open"]);
  const found = useQuery(run(id, table.filters, table.page));
  const fields: FilterField<Filter>[] = [
    {
      name: "kind",
      label: t("bills.kindName"),
      kind: "choice",
      options: KINDS.map((kind) => ({ value: kind, label: t(`bills.kind.${kind}`) })),
    },
    { name: "open", label: t("bills.onlyOpen"), kind: "flag" },
  ];
  const columns = useMemo(() => columnsOf(t), [t]);
  return (
    <div className="stack">
      <PageHead title={t("bills.title", { id })}>
        <Link to="/admin/reconciliation" className="small">
          {t("bills.all")}
        </Link>
      </PageHead>
      {found.data && <About run={found.data.run} />}
      <FilterBar table={table} fields={fields} />
      <DataTable
        label={t("bills.differences")}
        columns={columns}
        found={found}
        rowKey={({ kind, number }) => `${kind} ${number}`}
        empty={
          found.data && isCompared(found.data.run)
            ? { icon: "check", title: t("bills.agree"), hint: t("bills.agreeHint") }
            : { icon: "clock", title: t("bills.notYet"), hint: t("bills.notYetHint") }
        }
      />
    </div>
  );
}

function About({ run: shown }: { run: Run }) {
  const { t } = useTranslation("admin");
  return (
    <Section
      title={t("bills.run")}
      aside={
        <Tag tone={runTone(shown.state)}>
          {t(`bills.state.${shown.state as "open"}`, { defaultValue: shown.state })}
        </Tag>
      }
    >
      {shown.error && <Note tone="warn">{shown.error}</Note>}
      <Facts
        facts={[
          [t("bills.day"), shown.date],
          [
            t("money.channel"),
            t(`money.channels.${shown.channel as "wechat"}`, { defaultValue: shown.channel }),
          ],
          [t("bills.lines"), shown.lines],
          [t("bills.unknown"), shown.unknown],
          [t("bills.attempts"), shown.attempts],
          [t("bills.due"), shown.due_at && <When key="due" at={shown.due_at} exact />],
          [t("bills.finished"), shown.finished_at && <When key="finished" at={shown.finished_at} exact />],
          [t("bills.differences"), <Differences key="differences" run={shown} />],
        ]}
      />
    </Section>
  );
}

function columnsOf(t: T): Columns<Difference> {
  const amount = (yuan: number | null | undefined, state: string | null | undefined) => (
    <span className="number">
      {yuan == null ? "—" : money(yuan)} {state && <span className="muted">{state}</span>}
    </span>
  );
  return [
    {
      id: "kind",
      header: t("bills.kindName"),
      meta: { width: "minmax(190px, 1.2fr)" },
      cell: ({ row: { original } }) =>
        t(`bills.kind.${original.kind as "duplicate"}`, { defaultValue: original.kind }),
    },
    {
      id: "state",
      header: t("money.state"),
      meta: { width: "minmax(110px, 0.6fr)" },
      cell: ({ row: { original } }) => (
        <Tag tone={original.open ? "bad" : ""}>
          {t(`bills.difference.${original.state as "open"}`, { defaultValue: original.state })}
        </Tag>
      ),
    },
    {
      id: "ours",
      header: t("bills.ours"),
      meta: { width: "minmax(120px, 0.7fr)", align: "end" },
      cell: ({ row: { original } }) => amount(original.ours, original.our_state),
    },
    {
      id: "theirs",
      header: t("bills.theirs"),
      meta: { width: "minmax(120px, 0.7fr)", align: "end" },
      cell: ({ row: { original } }) => amount(original.theirs, original.their_state),
    },
    {
      id: "number",
      header: t("money.number"),
      meta: { width: "minmax(200px, 1fr)" },
      cell: ({ row }) => <Mono text={row.original.number} />,
    },
    {
      id: "order",
      header: t("orders.number"),
      meta: { width: "minmax(250px, 1fr)" },
      cell: ({ row: { original } }) =>
        original.order_no ? (
          <Link className="mono" to={`/admin/orders/${original.order_no}`}>
            {original.order_no}
          </Link>
        ) : (
          "—"
        ),
    },
    {
      id: "note",
      header: t("bills.note"),
      meta: { width: "minmax(160px, 1.2fr)" },
      cell: ({ row }) => <span className="two-lines small">{row.original.note || "—"}</span>,
    },
  ];
}
