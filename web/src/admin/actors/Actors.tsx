/** All actors of all nodes: a tree by kind and node that is pushed, the busiest keys, and the list that the server filters. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { duration } from "../format";
import type { Vitals } from "../live/frames";
import { actorColumn, countColumn, nodeColumn } from "../parts/columns";
import { DataTable, type Columns } from "../parts/DataTable";
import { FilterBar, type FilterField } from "../parts/FilterBar";
import { PageHead, Section, Silent, Tag } from "../parts/Parts";
import { useTableState } from "../parts/useTableState";
import { actorList } from "../queries";
import { ActorCommand, type Ask } from "./ActorCommand";
import { CommandMenu } from "./CommandMenu";
import { KINDS, STATES } from "./commands";
import { HotKeys } from "./HotKeys";
import { stateTone } from "./tones";
import { Tree } from "./Tree";

type Row = Vitals & { node: string };
type Filter = "kind" | "key" | "state" | "node";

export function Actors() {
  const { t } = useTranslation("admin");
  const [asked, setAsked] = useState<Ask | null>(null);
  return (
    <div className="stack loose">
      <PageHead title={t("nav.actors")} lead={t("actors.lead")} />
      <div className="columns">
        <Tree onAsk={setAsked} />
        <HotKeys />
      </div>
      <List onAsk={setAsked} />
      {asked && <ActorCommand ask={asked} onClose={() => setAsked(null)} />}
    </div>
  );
}

function List({ onAsk }: { onAsk: (ask: Ask) => void }) {
  const { t } = useTranslation("admin");
  const table = useTableState<Filter>(["kind", "key", "state", "node"], "key");
  const found = useQuery(actorList({ ...table.filters, sort: table.sort }, table.page));
  const fields: FilterField<Filter>[] = [
    {
      name: "kind",
      label: t("actors.kind"),
      kind: "choice",
      options: KINDS.map((kind) => ({ value: kind, label: kind })),
    },
    { name: "key", label: t("actors.key"), kind: "text", hint: t("actors.keyHint") },
    {
      name: "state",
      label: t("actors.stateName"),
      kind: "choice",
      options: STATES.map((state) => ({ value: state, label: t(`actors.state.${state}`) })),
    },
    { name: "node", label: t("actors.node"), kind: "text", hint: "node-0" },
  ];
  const columns = useMemo((): Columns<Row> => columnsOf(t, onAsk), [t, onAsk]);
  return (
    <Section title={t("actors.list")}>
      <FilterBar table={table} fields={fields} />
      <Silent nodes={found.data?.no_answer} />
      <DataTable
        label={t("actors.list")}
        columns={columns}
        found={found}
        rowKey={({ node, kind, key }) => `${node} ${kind} ${key}`}
        sort={table.sort}
        empty={{ icon: "search", title: t("actors.none"), hint: t("actors.noneHint") }}
      />
    </Section>
  );
}

type T = ReturnType<typeof useTranslation<"admin">>["t"];

function columnsOf(t: T, onAsk: (ask: Ask) => void): Columns<Row> {
  return [
    actorColumn(t("actors.actor"), { width: "minmax(190px, 1.4fr)", sort: { ascending: "key" } }),
    nodeColumn(t("actors.node")),
    {
      id: "state",
      header: t("actors.stateName"),
      meta: { width: "minmax(92px, 0.6fr)" },
      cell: ({ row: { original } }) => (
        <Tag tone={stateTone(original.state)}>
          {t(`actors.state.${original.state as "running"}`, { defaultValue: original.state })}
        </Tag>
      ),
    },
    {
      id: "queued",
      header: t("actors.queued"),
      meta: { width: "minmax(96px, 0.6fr)", align: "end", sort: { descending: "queued" } },
      cell: ({ row: { original } }) => (
        <span className="number">
          {original.queued} + {original.in_flight}
        </span>
      ),
    },
    countColumn("handled", t("actors.handled"), (row) => row.handled, {
      width: "minmax(90px, 0.6fr)",
      sort: { descending: "handled" },
    }),
    {
      id: "mean",
      header: t("actors.mean"),
      meta: { width: "minmax(130px, 0.8fr)", align: "end", isExtra: true },
      cell: ({ row: { original } }) => (
        <span className="number nowrap">
          {duration(original.handling_mean_us / 1000)} / {duration(original.handling_max_us / 1000)}
        </span>
      ),
    },
    countColumn("restarts", t("actors.restarts"), (row) => row.restarts, {
      width: "minmax(76px, 0.4fr)",
      sort: { descending: "restarts" },
      isExtra: true,
    }),
    {
      id: "menu",
      header: () => <span className="hidden">{t("actors.commands")}</span>,
      meta: { width: "56px", align: "end" },
      cell: ({ row: { original } }) => (
        <CommandMenu whom={{ kind: original.kind, key: original.key, node: original.node }} onAsk={onAsk} />
      ),
    },
  ];
}
