/** What was given up, in four places, each with a way to try it again: messages to actors, tickets, queue messages, webhooks. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api, dataOf, done } from "../../api/client";
import { Button } from "../../ui/Basics";
import { toast } from "../../ui/toasts";
import { ActorCommand, type Ask } from "../actors/ActorCommand";
import { KINDS } from "../actors/commands";
import { actorColumn, nodeColumn, whenColumn } from "../parts/columns";
import { CommandDialog } from "../parts/CommandDialog";
import { DataTable, type Columns } from "../parts/DataTable";
import { FilterBar, type FilterField } from "../parts/FilterBar";
import { Mono, PageHead, Silent, Tag } from "../parts/Parts";
import { Tabs } from "../parts/Tabs";
import { useTableState } from "../parts/useTableState";
import {
  deadLetters,
  deadMessages,
  deadTickets,
  deadWebhooks,
  type DeadLetter,
  type DeadMessage,
  type DeadTicket,
  type DeadWebhook,
} from "../queries";

type T = ReturnType<typeof useTranslation<"admin">>["t"];

function Frame({ lead, children }: { lead: string; children: ReactNode }) {
  const { t } = useTranslation("admin");
  return (
    <div className="stack">
      <PageHead title={t("nav.dead")} lead={lead} />
      <Tabs
        label={t("nav.dead")}
        tabs={[
          ["/admin/dead", t("dead.letters")],
          ["/admin/dead/tickets", t("dead.tickets")],
          ["/admin/dead/messages", t("dead.messages")],
          ["/admin/dead/webhooks", t("dead.webhooks")],
        ]}
      />
      {children}
    </div>
  );
}

function replayColumn<Row>(t: T, name: (row: Row) => string, onReplay: (row: Row) => void): Columns<Row> {
  return [
    {
      id: "replay",
      header: () => <span className="hidden">{t("actors.commands")}</span>,
      meta: { width: "112px", align: "end" },
      cell: ({ row: { original } }) => (
        <Button
          size="compact"
          aria-label={t("dead.replayOf", { name: name(original) })}
          onClick={() => onReplay(original)}
        >
          {t("actors.command.replay")}
        </Button>
      ),
    },
  ];
}

type Filter = "kind" | "key" | "node";

export function Letters() {
  const { t } = useTranslation("admin");
  const table = useTableState<Filter>(["kind", "key", "node"]);
  const found = useQuery(deadLetters(table.filters, table.page));
  const [asked, setAsked] = useState<Ask | null>(null);
  const [one, setOne] = useState<DeadLetter | null>(null);
  const columns = useMemo(() => letterColumns(t, setOne), [t]);
  const { kind = "*", key = "*", node } = table.filters;
  const fields: FilterField<Filter>[] = [
    {
      name: "kind",
      label: t("actors.kind"),
      kind: "choice",
      options: KINDS.map((name) => ({ value: name, label: name })),
    },
    { name: "key", label: t("actors.key"), kind: "text", hint: t("actors.keyHint") },
    { name: "node", label: t("actors.node"), kind: "text", hint: "node-0" },
  ];
  return (
    <Frame lead={t("dead.lettersLead")}>
      <FilterBar table={table} fields={fields}>
        <Button
          size="compact"
          disabled={found.data?.total === 0}
          onClick={() => setAsked({ kind, key, command: "replay", ...(node && { node }) })}
        >
          {t("dead.replayAll")}
        </Button>
      </FilterBar>
      <Silent nodes={found.data?.no_answer} />
      <DataTable
        label={t("dead.letters")}
        columns={columns}
        found={found}
        rowKey={({ node: where, id }) => `${where} ${id}`}
        empty={{ icon: "check", title: t("dead.none"), hint: t("dead.noneHint") }}
      />
      {asked && <ActorCommand ask={asked} onClose={() => setAsked(null)} />}
      {one && <ReplayLetter letter={one} onClose={() => setOne(null)} />}
    </Frame>
  );
}

function letterColumns(t: T, onReplay: (letter: DeadLetter) => void): Columns<DeadLetter> {
  return [
    actorColumn(t("actors.actor"), { width: "minmax(170px, 1fr)" }),
    nodeColumn(t("actors.node")),
    {
      id: "reason",
      header: t("dead.reason"),
      meta: { width: "minmax(110px, 0.5fr)" },
      cell: ({ row: { original } }) => (
        <Tag tone={original.reason === "poison" ? "bad" : "warn"}>
          {t(`dead.why.${original.reason as "poison"}`, { defaultValue: original.reason })}
        </Tag>
      ),
    },
    {
      id: "message",
      header: t("dead.message"),
      meta: { width: "minmax(240px, 2.4fr)" },
      cell: ({ row }) => (
        <span className="two-lines mono" title={row.original.message}>
          {row.original.message}
        </span>
      ),
    },
    whenColumn("at", t("dead.at"), (row) => row.at_ms, { align: "end" }),
    ...replayColumn<DeadLetter>(t, ({ kind, key, id }) => `${kind} ${key} #${id}`, onReplay),
  ];
}

/** One letter: through its actor, which reaches letters of any node. */
function ReplayLetter({ letter, onClose }: { letter: DeadLetter; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const { kind, key, node, id } = letter;
  return (
    <CommandDialog
      title={`${t("actors.command.replay")}: ${kind} ${key} #${id}`}
      hint={<p>{t("dead.letterHint")}</p>}
      yes={t("actors.command.replay")}
      send={(idempotencyKey) =>
        dataOf(
          api.POST("/api/admin/actors/{kind}/{key}/{command}", {
            params: { path: { kind, key, command: "replay" }, header: { "Idempotency-Key": idempotencyKey } },
            body: { id, node, reason: "" },
          }),
        )
      }
      onDone={() => client.invalidateQueries({ queryKey: ["admin", "dead-letters"] })}
      onClose={onClose}
    >
      <p className="mono small dead-text">{letter.message}</p>
    </CommandDialog>
  );
}

export function Tickets() {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const table = useTableState([]);
  const found = useQuery(deadTickets(table.page));
  const [one, setOne] = useState<DeadTicket | null>(null);
  const columns = useMemo((): Columns<DeadTicket> => ticketColumns(t, setOne), [t]);
  return (
    <Frame lead={t("dead.ticketsLead")}>
      <DataTable
        label={t("dead.tickets")}
        columns={columns}
        found={found}
        rowKey={(ticket) => ticket.order_no}
        empty={{ icon: "check", title: t("dead.none"), hint: t("dead.noneHint") }}
      />
      {one && (
        <CommandDialog
          title={`${t("actors.command.replay")}: ${one.order_no}`}
          hint={<p>{t("dead.ticketHint")}</p>}
          yes={t("actors.command.replay")}
          send={(key) =>
            dataOf(
              api.POST("/api/admin/dead-tickets/{order_no}/replay", {
                params: { path: { order_no: one.order_no }, header: { "Idempotency-Key": key } },
              }),
            )
          }
          onDone={async ({ order_no }) => {
            await client.invalidateQueries({ queryKey: ["admin"] });
            toast(t("dead.newOrder"), { label: order_no, to: `/admin/orders/${order_no}` });
          }}
          onClose={() => setOne(null)}
        />
      )}
    </Frame>
  );
}

function ticketColumns(t: T, onReplay: (ticket: DeadTicket) => void): Columns<DeadTicket> {
  return [
    {
      id: "order",
      header: t("orders.number"),
      meta: { width: "minmax(250px, 1.2fr)" },
      cell: ({ row }) => (
        <Link className="mono" to={`/admin/orders/${row.original.order_no}`}>
          {row.original.order_no}
        </Link>
      ),
    },
    {
      id: "product",
      header: t("orders.productId"),
      meta: { width: "minmax(110px, 0.6fr)" },
      cell: ({ row: { original } }) => (
        <span className="number">
          {original.product_id} × {original.quantity}
        </span>
      ),
    },
    {
      id: "buyer",
      header: t("orders.buyerId"),
      meta: { width: "minmax(90px, 0.5fr)" },
      cell: ({ row }) => <span className="number">{row.original.user_id}</span>,
    },
    {
      id: "reason",
      header: t("dead.reason"),
      meta: { width: "minmax(220px, 2fr)" },
      cell: ({ row: { original } }) => (
        <span className="two-lines small">
          {original.reason} · {t("orders.attempts", { count: original.attempts })}
        </span>
      ),
    },
    whenColumn("at", t("dead.at"), (row) => row.at, { align: "end" }),
    ...replayColumn<DeadTicket>(t, ({ order_no }) => order_no, onReplay),
  ];
}

export function Messages() {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const table = useTableState([]);
  const found = useQuery(deadMessages(table.page));
  const [one, setOne] = useState<DeadMessage | null>(null);
  const columns = useMemo(
    (): Columns<DeadMessage> => [
      {
        id: "content",
        header: t("dead.message"),
        meta: { width: "minmax(260px, 2.4fr)" },
        cell: ({ row }) => <span className="two-lines mono">{row.original.content}</span>,
      },
      {
        id: "reason",
        header: t("dead.reason"),
        meta: { width: "minmax(200px, 1.4fr)" },
        cell: ({ row: { original } }) => (
          <span className="two-lines small">
            {original.reason} · {t("orders.attempts", { count: original.attempts })}
          </span>
        ),
      },
      {
        id: "tickets",
        header: t("dead.ticketsIn"),
        meta: { width: "minmax(80px, 0.4fr)", align: "end" },
        cell: ({ row }) => <span className="number">{row.original.tickets ?? "—"}</span>,
      },
      whenColumn("at", t("dead.at"), (row) => row.at, { align: "end" }),
      ...replayColumn<DeadMessage>(t, ({ id }) => id, setOne),
    ],
    [t],
  );
  return (
    <Frame lead={t("dead.messagesLead")}>
      <DataTable
        label={t("dead.messages")}
        columns={columns}
        found={found}
        rowKey={(message) => message.id}
        empty={{ icon: "check", title: t("dead.none"), hint: t("dead.noneHint") }}
      />
      {one && (
        <CommandDialog
          title={`${t("actors.command.replay")}: ${one.id}`}
          hint={<p>{t("dead.messageHint")}</p>}
          yes={t("actors.command.replay")}
          send={(key) =>
            done(
              api.POST("/api/admin/dead-messages/{id}/replay", {
                params: { path: { id: one.id } },
                headers: { "Idempotency-Key": key },
              }),
            )
          }
          onDone={() => client.invalidateQueries({ queryKey: ["admin", "dead-messages"] })}
          onClose={() => setOne(null)}
        />
      )}
    </Frame>
  );
}

export function Webhooks() {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const table = useTableState([]);
  const found = useQuery(deadWebhooks(table.page));
  const [one, setOne] = useState<DeadWebhook | null>(null);
  const columns = useMemo(
    (): Columns<DeadWebhook> => [
      {
        id: "target",
        header: t("dead.target"),
        meta: { width: "minmax(140px, 0.8fr)" },
        cell: ({ row }) => <span className="mono">{row.original.target}</span>,
      },
      {
        id: "kind",
        header: t("dead.event"),
        meta: { width: "minmax(220px, 1.2fr)" },
        cell: ({ row: { original } }) => (
          <span className="stack tight">
            {original.kind}
            <Mono text={original.event_id} />
          </span>
        ),
      },
      {
        id: "error",
        header: t("dead.reason"),
        meta: { width: "minmax(220px, 2fr)" },
        cell: ({ row: { original } }) => (
          <span className="two-lines small">
            {original.last_error} · {t("orders.attempts", { count: original.attempts })}
          </span>
        ),
      },
      whenColumn("at", t("dead.at"), (row) => row.at, { align: "end" }),
      ...replayColumn<DeadWebhook>(t, ({ target, event_id }) => `${target} ${event_id}`, setOne),
    ],
    [t],
  );
  return (
    <Frame lead={t("dead.webhooksLead")}>
      <DataTable
        label={t("dead.webhooks")}
        columns={columns}
        found={found}
        rowKey={(delivery) => delivery.id}
        empty={{ icon: "check", title: t("dead.none"), hint: t("dead.noneHint") }}
      />
      {one && (
        <CommandDialog
          title={`${t("actors.command.replay")}: ${one.target}`}
          hint={<p>{t("dead.webhookHint")}</p>}
          yes={t("actors.command.replay")}
          send={(key) =>
            dataOf(
              api.POST("/api/admin/webhooks/dead/{id}/replay", {
                params: { path: { id: one.id } },
                headers: { "Idempotency-Key": key },
              }),
            )
          }
          onDone={() => client.invalidateQueries({ queryKey: ["admin", "dead-webhooks"] })}
          onClose={() => setOne(null)}
        />
      )}
    </Frame>
  );
}
