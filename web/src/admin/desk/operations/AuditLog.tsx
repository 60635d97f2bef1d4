/** Who did what: searched on the server, read in whole, taken along as a file. */
import { keepPreviousData, useMutation, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api, dataOf, withFile } from "../../../api/client";
import { Button, ErrorNote } from "../../../ui/Basics";
import { Dialog } from "../../../ui/Dialog";
import { toast } from "../../../ui/toasts";
import { whenColumn } from "../../parts/columns";
import { DataTable, type Columns } from "../../parts/DataTable";
import { FilterBar } from "../../parts/FilterBar";
import { Facts, Mono, PageHead, Tag, When } from "../../parts/Parts";
import { ROWS_A_PAGE, useTableState } from "../../parts/useTableState";
import { saveFile } from "../parts/saveFile";
import { keys, type Act } from "../queries";
import { ACT_FILTERS, brief, pageOf, readFilter, type ActFilter } from "../rules/acts";

export function AuditLog() {
  const { t } = useTranslation("desk");
  const table = useTableState(ACT_FILTERS);
  const filter = readFilter(table.filters);
  const [shown, setShown] = useState<Act | null>(null);
  const found = useQuery({
    queryKey: [...keys.acts, table.page, filter],
    queryFn: ({ signal }) => {
      const query = { ...filter, page: table.page, page_size: ROWS_A_PAGE };
      return dataOf(api.GET("/api/admin/audit-log", { params: { query }, signal }));
    },
    placeholderData: keepPreviousData,
    staleTime: 0,
  });
  return (
    <div className="stack">
      <PageHead title={t("audit.title")} lead={t("audit.lead")}>
        <Export filter={filter} format="csv" />
        <Export filter={filter} format="jsonl" />
      </PageHead>
      <FilterBar
        table={table}
        fields={[
          { kind: "text", name: "action", label: t("audit.action"), hint: t("audit.actionHint") },
          { kind: "text", name: "target", label: t("audit.target"), hint: t("audit.targetHint") },
          { kind: "text", name: "actor", label: t("audit.actor"), inputMode: "numeric" },
          { kind: "day", name: "from", label: t("audit.from") },
          { kind: "day", name: "to", label: t("audit.to") },
          { kind: "flag", name: "failures", label: t("audit.failures") },
        ]}
      />
      <DataTable
        label={t("audit.title")}
        columns={useColumns(setShown)}
        found={found}
        rowKey={(act) => String(act.id)}
        empty={{ icon: "search", title: t("audit.empty") }}
      />
      {shown && <Whole act={shown} onClose={() => setShown(null)} />}
    </div>
  );
}

function useColumns(show: (act: Act) => void): Columns<Act> {
  const { t } = useTranslation("desk");
  return useMemo(
    () => [
      whenColumn("at", t("shared.when"), (row) => row.at, { width: "minmax(183px, 1fr)" }),
      {
        id: "who",
        header: t("audit.who"),
        meta: { width: "minmax(110px, 0.8fr)" },
        cell: ({ row: { original: act } }) =>
          act.actor_name || <span className="muted">{t("audit.shop")}</span>,
      },
      {
        id: "action",
        header: t("audit.action"),
        meta: { width: "minmax(140px, 1fr)" },
        cell: ({ row }) => <span className="mono">{row.original.action}</span>,
      },
      {
        id: "target",
        header: t("audit.target"),
        meta: { width: "minmax(140px, 1fr)" },
        cell: ({ row }) => <Target target={row.original.target} />,
      },
      {
        id: "detail",
        header: t("audit.detail"),
        meta: { width: "minmax(160px, 2fr)" },
        cell: ({ row: { original: act } }) => (
          <button
            type="button"
            className="link-button cut"
            aria-label={`${t("audit.show")} ${act.id} ${brief(act.detail)}`.trimEnd()}
            onClick={() => show(act)}
          >
            {brief(act.detail) || t("audit.show")}
          </button>
        ),
      },
      {
        id: "result",
        header: t("audit.result"),
        meta: { width: "minmax(90px, 0.8fr)" },
        cell: ({ row }) => <Result result={row.original.result} />,
      },
    ],
    [t, show],
  );
}

function Target({ target }: { target: string }) {
  const page = pageOf(target);
  return page ? <Link to={page}>{target}</Link> : <span>{target || "—"}</span>;
}

function Result({ result }: { result: string }) {
  const { t } = useTranslation("desk");
  return result === "ok" ? <Tag tone="good">{t("audit.ok")}</Tag> : <Tag tone="bad">{result}</Tag>;
}

function Whole({ act, onClose }: { act: Act; onClose: () => void }) {
  const { t } = useTranslation("desk");
  const { t: ofShop } = useTranslation();
  return (
    <Dialog title={act.action} onClose={onClose}>
      <Facts
        facts={[
          [t("shared.when"), <When at={act.at} exact />],
          [t("audit.who"), act.actor_name || t("audit.shop")],
          [t("audit.target"), <Target target={act.target} />],
          [t("audit.result"), <Result result={act.result} />],
          [t("audit.node"), act.node],
          [t("audit.trace"), act.trace_id && <Mono text={act.trace_id} short />],
        ]}
      />
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls: the keyboard has to get there */}
      <pre className="code" tabIndex={0} role="region" aria-label={t("audit.detail")}>
        {JSON.stringify(act.detail, null, 2)}
      </pre>
      <div className="dialog-actions">
        <Button look="primary" onClick={onClose}>
          {ofShop("common.close")}
        </Button>
      </div>
    </Dialog>
  );
}

/** The file is fetched with the administrator's token, which a plain link would not carry. */
function Export({ filter, format }: { filter: ActFilter; format: "csv" | "jsonl" }) {
  const { t } = useTranslation("desk");
  const take = useMutation({
    mutationFn: async () => {
      const query = { ...filter, format };
      const { response, error } = await api.GET("/api/admin/audit-log/export", {
        params: { query },
        parseAs: "stream",
        fetch: withFile,
      });
      await saveFile({ response, error }, `audit-log.${format}`);
    },
    onSuccess: () => toast(t("audit.exported")),
  });
  return (
    <>
      <Button size="compact" busy={take.isPending} onClick={() => take.mutate()}>
        {t("audit.exportAs", { format: format.toUpperCase() })}
      </Button>
      {take.isError && <ErrorNote error={take.error} />}
    </>
  );
}
