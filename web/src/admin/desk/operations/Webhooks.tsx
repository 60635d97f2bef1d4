/** Whom the shop tells its events, what waits for them, and what was given up. */
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../../api/client";
import { count } from "../../../lib/format";
import { Button, Empty, ErrorNote, LoadingBlocks } from "../../../ui/Basics";
import { toast } from "../../../ui/toasts";
import { countColumn } from "../../parts/columns";
import { CommandDialog } from "../../parts/CommandDialog";
import { DataTable, type Columns } from "../../parts/DataTable";
import { Facts, Mono, PageHead, Section, Tag, When } from "../../parts/Parts";
import { ROWS_A_PAGE, useTableState } from "../../parts/useTableState";
import { keys, type DeadWebhook, type WebhookTarget } from "../queries";
import { isFailing as failingNow } from "../rules/webhooks";

type Asked = { what: "one"; dead: DeadWebhook } | { what: "all"; target: string };

/** How often the backlog is looked at. */
const LOOK_EVERY_MS = 5_000;

export function Webhooks() {
  const { t } = useTranslation("desk");
  const [asked, setAsked] = useState<Asked | null>(null);
  return (
    <div className="stack">
      <PageHead title={t("webhooks.title")} lead={t("webhooks.lead")} />
      <Targets onReplay={(target) => setAsked({ what: "all", target })} />
      <Dead onReplay={(dead) => setAsked({ what: "one", dead })} />
      {asked && <Replay asked={asked} onClose={() => setAsked(null)} />}
    </div>
  );
}

function Targets({ onReplay }: { onReplay: (target: string) => void }) {
  const { t } = useTranslation("desk");
  const found = useQuery({
    queryKey: [...keys.webhooks, "targets"],
    queryFn: ({ signal }) => dataOf(api.GET("/api/admin/webhooks", { signal })),
    refetchInterval: LOOK_EVERY_MS,
  });
  return (
    <Section title={t("webhooks.targets")}>
      {found.isPending && <LoadingBlocks count={1} />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data?.length === 0 && (
        <Empty icon="external" title={t("webhooks.noTargets")} hint={t("webhooks.noTargetsHint")} />
      )}
      <ul className="lines">
        {found.data?.map((target) => (
          <Target key={target.target} target={target} onReplay={() => onReplay(target.target)} />
        ))}
      </ul>
    </Section>
  );
}

function Target({ target, onReplay }: { target: WebhookTarget; onReplay: () => void }) {
  const { t, i18n } = useTranslation("desk");
  const { waiting, failed, dead, waiting_since, last_ok_at, last_error, last_error_at } = target;
  const isFailing = failingNow(target);
  return (
    <li className="line" data-testid={`target-${target.target}`}>
      <div className="stack tight grow">
        <span className="row tight">
          <strong>{target.target}</strong>
          <span className="small muted">{target.host}</span>
        </span>
        <span className="row small">
          {waiting === 0 && dead === 0 && <Tag tone="good">{t("webhooks.upToDate")}</Tag>}
          {waiting > 0 && (
            <Tag tone="warn">
              {t("webhooks.waiting")} {count(waiting, i18n.language)}
            </Tag>
          )}
          {failed > 0 && (
            <Tag tone="warn">
              {t("webhooks.failed")} {count(failed, i18n.language)}
            </Tag>
          )}
          {dead > 0 && (
            <Tag tone="bad">
              {t("webhooks.dead")} {count(dead, i18n.language)}
            </Tag>
          )}
          {waiting_since && (
            <span className="muted">
              {t("webhooks.waitingSince")} <When at={waiting_since} />
            </span>
          )}
        </span>
        <Facts
          facts={[
            [t("webhooks.events"), <Kinds key="kinds" kinds={target.events} />],
            [t("webhooks.lastOk"), last_ok_at ? <When key="ok" at={last_ok_at} /> : t("webhooks.never")],
            [
              isFailing ? t("webhooks.lastError") : t("webhooks.lastErrorOver"),
              last_error && (
                <span key="error" className={isFailing ? "small problem" : "small muted"}>
                  <When at={last_error_at} /> · {last_error}
                </span>
              ),
            ],
          ]}
        />
      </div>
      {dead > 0 && (
        <Button size="compact" onClick={onReplay}>
          {t("webhooks.replayAll")}
        </Button>
      )}
    </li>
  );
}

function Kinds({ kinds }: { kinds: readonly string[] }) {
  return (
    <span className="row tight">
      {kinds.map((kind) => (
        <span key={kind} className="tag mono">
          {kind}
        </span>
      ))}
    </span>
  );
}

function Dead({ onReplay }: { onReplay: (dead: DeadWebhook) => void }) {
  const { t } = useTranslation("desk");
  const { page } = useTableState([]);
  const found = useQuery({
    queryKey: [...keys.webhooks, "dead", page],
    queryFn: ({ signal }) => {
      const query = { page, page_size: ROWS_A_PAGE };
      return dataOf(api.GET("/api/admin/webhooks/dead", { params: { query }, signal }));
    },
    placeholderData: keepPreviousData,
    refetchInterval: LOOK_EVERY_MS,
  });
  return (
    <Section title={t("webhooks.deadTitle")}>
      <DataTable
        label={t("webhooks.deadTitle")}
        columns={useDeadColumns(onReplay)}
        found={{ ...found, isFetching: found.isPlaceholderData }}
        rowKey={(dead) => dead.id}
        empty={{ icon: "check", title: t("webhooks.noDead"), hint: t("webhooks.noDeadHint") }}
      />
    </Section>
  );
}

function useDeadColumns(onReplay: (dead: DeadWebhook) => void): Columns<DeadWebhook> {
  const { t } = useTranslation("desk");
  return useMemo(
    () => [
      {
        id: "target",
        header: t("webhooks.target"),
        meta: { width: "minmax(100px, 1fr)" },
        cell: ({ row }) => row.original.target,
      },
      {
        id: "kind",
        header: t("webhooks.kind"),
        meta: { width: "minmax(130px, 1fr)" },
        cell: ({ row }) => <span className="mono">{row.original.kind}</span>,
      },
      {
        id: "event",
        header: t("webhooks.event"),
        meta: { width: "minmax(130px, 1fr)", isExtra: true },
        cell: ({ row }) => <Mono text={row.original.event_id} short />,
      },
      {
        id: "since",
        header: t("webhooks.owedSince"),
        meta: { width: "minmax(136px, 0.8fr)" },
        cell: ({ row }) => <When at={row.original.at} />,
      },
      countColumn("attempts", t("webhooks.attempts"), (row) => row.attempts, {
        width: "minmax(70px, 0.5fr)",
      }),
      {
        id: "error",
        header: t("webhooks.lastError"),
        meta: { width: "minmax(160px, 2fr)" },
        cell: ({ row }) => <span className="small">{row.original.last_error}</span>,
      },
      {
        id: "do",
        header: "",
        meta: { width: "minmax(110px, auto)", align: "end" },
        cell: ({ row }) => (
          <Button size="compact" onClick={() => onReplay(row.original)}>
            {t("webhooks.replay")}
          </Button>
        ),
      },
    ],
    [t, onReplay],
  );
}

function Replay({ asked, onClose }: { asked: Asked; onClose: () => void }) {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  const send = (key: string) => {
    const headers = { "Idempotency-Key": key };
    if (asked.what === "all") {
      const path = { target: asked.target };
      return dataOf(api.POST("/api/admin/webhooks/{target}/replay", { params: { path }, headers }));
    }
    const path = { id: asked.dead.id };
    return dataOf(api.POST("/api/admin/webhooks/dead/{id}/replay", { params: { path }, headers }));
  };
  return (
    <CommandDialog
      title={
        asked.what === "all" ? t("webhooks.replayAllAsk", { target: asked.target }) : t("webhooks.replayAsk")
      }
      hint={t("webhooks.replayHint")}
      yes={t(asked.what === "all" ? "webhooks.replayAll" : "webhooks.replay")}
      send={send}
      onDone={async ({ replayed }) => {
        await client.invalidateQueries({ queryKey: keys.webhooks });
        toast(t("webhooks.replayed", { count: replayed }));
      }}
      onClose={onClose}
    />
  );
}
