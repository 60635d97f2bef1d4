/** The settings in effect on each node, and having them read anew. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../../api/client";
import { Button, Empty, ErrorNote, LoadingBlocks } from "../../../ui/Basics";
import { CommandDialog } from "../../parts/CommandDialog";
import { Rows, type Columns } from "../../parts/DataTable";
import { FilterBar, type FilterField } from "../../parts/FilterBar";
import { PageHead, Silent, Tag } from "../../parts/Parts";
import { useTableState } from "../../parts/useTableState";
import { keys } from "../queries";
import { matching, settingsOf, type Setting } from "../rules/settings";
import { Reloaded } from "./Reloaded";

const FILTERS = ["node", "search", "live"] as const;
type Filter = (typeof FILTERS)[number];

export function Settings() {
  const { t } = useTranslation("desk");
  const table = useTableState(FILTERS);
  const [isAsked, setAsked] = useState(false);
  const columns = useColumns();
  const found = useQuery({
    queryKey: keys.settings,
    queryFn: ({ signal }) => dataOf(api.GET("/api/admin/settings", { signal })),
    staleTime: 0,
  });
  const { node, search = "", live } = table.filters;
  const nodes = found.data?.nodes ?? [];
  const shown = nodes.find((one) => one.node === node) ?? nodes[0];
  const rows = matching(settingsOf(shown?.settings ?? []), search, live === "true");
  const fields: FilterField<Filter>[] = [
    { kind: "text", name: "search", label: t("settings.search") },
    { kind: "flag", name: "live", label: t("settings.liveOnly") },
  ];
  if (nodes.length > 1) {
    const options = nodes.map((one) => ({ value: one.node, label: one.node }));
    fields.unshift({ kind: "choice", name: "node", label: t("audit.node"), options });
  }
  return (
    <div className="stack">
      <PageHead title={t("settings.title")} lead={t("settings.lead")}>
        <Button look="primary" size="compact" onClick={() => setAsked(true)}>
          {t("settings.reload")}
        </Button>
      </PageHead>
      <FilterBar table={table} fields={fields} />
      <Silent nodes={found.data?.no_answer} />
      {found.isPending && <LoadingBlocks />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {shown && <p className="small muted">{t("settings.readOn", { node: shown.node })}</p>}
      {shown && rows.length === 0 && <Empty icon="search" title={t("settings.empty")} />}
      {rows.length > 0 && (
        <Rows label={t("settings.title")} columns={columns} rows={rows} rowKey={(setting) => setting.key} />
      )}
      {isAsked && <Reload onClose={() => setAsked(false)} />}
    </div>
  );
}

function useColumns(): Columns<Setting> {
  const { t } = useTranslation("desk");
  return useMemo(
    () => [
      {
        id: "key",
        header: t("settings.key"),
        meta: { width: "minmax(240px, 2fr)" },
        cell: ({ row }) => <span className="mono">{row.original.key}</span>,
      },
      {
        id: "value",
        header: t("settings.value"),
        meta: { width: "minmax(160px, 2fr)" },
        cell: ({ row }) => <span className="mono">{row.original.value}</span>,
      },
      {
        id: "origin",
        header: t("settings.source"),
        meta: { width: "minmax(120px, 1fr)" },
        cell: ({ row }) => <span className="small">{row.original.origin}</span>,
      },
      {
        id: "live",
        header: t("shared.status"),
        meta: { width: "minmax(130px, 1fr)" },
        cell: ({ row }) =>
          row.original.live ? (
            <Tag tone="good">{t("settings.live")}</Tag>
          ) : (
            <Tag>{t("settings.restart")}</Tag>
          ),
      },
    ],
    [t],
  );
}

function Reload({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  return (
    <CommandDialog
      title={t("settings.reloadAsk")}
      hint={t("settings.reloadHint")}
      yes={t("settings.reload")}
      send={() => dataOf(api.POST("/api/admin/settings/reload", { body: {} }))}
      onDone={() => client.invalidateQueries({ queryKey: keys.settings })}
      outcome={(nodes) => <Reloaded nodes={nodes} />}
      onClose={onClose}
    />
  );
}
