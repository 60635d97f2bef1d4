/** Bills compared with the books: one run a gateway and day, and a day compared again on demand. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api, dataOf } from "../../api/client";
import { payChannels } from "../../api/queries";
import { formText } from "../../lib/formText";
import { Button } from "../../ui/Basics";
import { Field } from "../../ui/Field";
import { toast } from "../../ui/toasts";
import { serverNow } from "../../live/clock";
import { countColumn, whenColumn } from "../parts/columns";
import { CommandDialog } from "../parts/CommandDialog";
import { DataTable, type Columns } from "../parts/DataTable";
import { beijingDay } from "../parts/days";
import { PageHead, SelectField, Tag, type Tone } from "../parts/Parts";
import { useTableState } from "../parts/useTableState";
import { runList, type Run } from "../queries";

type T = ReturnType<typeof useTranslation<"admin">>["t"];
type State = "open";

const TONES: Record<string, Tone> = { done: "good", open: "bad", failed: "bad", running: "info" };

export function runTone(state: string): Tone {
  return TONES[state] ?? "";
}

export function Reconciliation() {
  const { t } = useTranslation("admin");
  const table = useTableState([]);
  const found = useQuery(runList({}, table.page));
  const [isAsking, setAsking] = useState(false);
  const columns = useMemo(() => columnsOf(t), [t]);
  return (
    <div className="stack">
      <PageHead title={t("nav.reconciliation")} lead={t("bills.lead")}>
        <Button look="primary" size="compact" onClick={() => setAsking(true)}>
          {t("bills.runDay")}
        </Button>
      </PageHead>
      <DataTable
        label={t("nav.reconciliation")}
        columns={columns}
        found={found}
        rowKey={(run) => run.id}
        empty={{ icon: "clock", title: t("bills.none"), hint: t("bills.noneHint") }}
      />
      {isAsking && <RunDay onClose={() => setAsking(false)} />}
    </div>
  );
}

function columnsOf(t: T): Columns<Run> {
  return [
    {
      id: "day",
      header: t("bills.day"),
      meta: { width: "minmax(120px, 0.6fr)" },
      cell: ({ row: { original } }) => (
        <Link className="number nowrap" to={`/admin/reconciliation/${original.id}`}>
          {original.date}
        </Link>
      ),
    },
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
        <Tag tone={runTone(original.state)}>
          {t(`bills.state.${original.state as State}`, { defaultValue: original.state })}
        </Tag>
      ),
    },
    countColumn("lines", t("bills.lines"), (row) => row.lines, { width: "minmax(76px, 0.4fr)" }),
    {
      id: "differences",
      header: t("bills.differences"),
      meta: { width: "minmax(160px, 1fr)" },
      cell: ({ row: { original } }) => <Differences run={original} />,
    },
    whenColumn("finished", t("bills.finished"), (row) => row.finished_at, { align: "end" }),
    {
      id: "error",
      header: t("bills.why"),
      meta: { width: "minmax(220px, 1.6fr)" },
      cell: ({ row: { original } }) => (
        <span className="two-lines small" title={original.error}>
          {original.error || "—"}
        </span>
      ),
    },
  ];
}

/** Before that, no difference says nothing. */
export function isCompared({ state }: Run): boolean {
  return state === "done" || state === "open";
}

/** How many differences are in which state. */
export function Differences({ run }: { run: Run }) {
  const { t } = useTranslation("admin");
  const found = Object.entries(run.differences).filter(([, count]) => count > 0);
  if (found.length === 0 && !isCompared(run)) return <span className="muted">{t("bills.notYet")}</span>;
  if (found.length === 0) return <span className="muted">{t("bills.agree")}</span>;
  return (
    <span className="tags">
      {found.map(([state, count]) => (
        <Tag key={state} tone={state === "open" || state === "in_review" ? "bad" : ""}>
          {count} {t(`bills.difference.${state as State}`, { defaultValue: state })}
        </Tag>
      ))}
    </span>
  );
}

function RunDay({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const channels = useQuery(payChannels).data?.channels ?? [];
  const yesterday = beijingDay(serverNow(), 1);
  return (
    <CommandDialog
      title={t("bills.runDay")}
      hint={<p>{t("bills.runHint")}</p>}
      yes={t("bills.run")}
      check={({ form }) => {
        const day = formText(form, "date");
        return /^\d{4}-\d{2}-\d{2}$/.test(day) && day <= yesterday ? undefined : t("bills.wrongDay");
      }}
      send={(key, { form }) => {
        const channel = formText(form, "channel");
        return dataOf(
          api.POST("/api/admin/reconciliation", {
            params: { header: { "Idempotency-Key": key } },
            body: { date: formText(form, "date"), ...(channel && { channel }) },
          }),
        );
      }}
      onDone={async () => {
        await client.invalidateQueries({ queryKey: ["admin", "runs"] });
        toast(t("bills.started"));
      }}
      onClose={onClose}
    >
      <Field
        label={t("bills.day")}
        name="date"
        type="date"
        defaultValue={yesterday}
        max={yesterday}
        required
      />
      <SelectField
        label={t("money.channel")}
        name="channel"
        options={[
          { value: "", label: t("table.all") },
          ...channels.map((channel) => ({
            value: channel,
            label: t(`money.channels.${channel as "wechat"}`, { defaultValue: channel }),
          })),
        ]}
      />
    </CommandDialog>
  );
}
