/** One actor: its vital signs on every node, what it says of itself, every command, and what happened to it. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { ApiError } from "../../api/error";
import { Button, Empty, ErrorNote, LoadingBlocks } from "../../ui/Basics";
import { EventLog } from "../dashboard/EventLog";
import { duration } from "../format";
import { Facts, PageHead, Section, Silent, Tag } from "../parts/Parts";
import { Json } from "../parts/Json";
import { actor, type OnNode as Seen } from "../queries";
import { ActorCommand, type Ask } from "./ActorCommand";
import { Recent } from "./Recent";
import { COMMON, commandsOf, type Word } from "./commands";
import { stateTone } from "./tones";

const NOT_FOUND = 404;

export function ActorPage() {
  const { kind = "", key = "" } = useParams();
  const { t } = useTranslation("admin");
  const found = useQuery(actor(kind, key));
  const [asked, setAsked] = useState<Ask | null>(null);
  const isGone = found.error instanceof ApiError && found.error.status === NOT_FOUND;
  // What was seen of an actor that left the memory meanwhile is old.
  const inspection = isGone ? undefined : found.data;
  return (
    <div className="stack loose">
      <PageHead title={`${kind} ${key}`} lead={t(`actors.about.${kind as "session"}`, { defaultValue: "" })}>
        <Link to={`/admin/actors?kind=${kind}`} className="small">
          {t("actors.others")}
        </Link>
      </PageHead>
      {found.isPending && <LoadingBlocks />}
      {found.isError && !isGone && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {isGone && <Empty icon="clock" title={t("actors.gone")} hint={t("actors.goneHint")} />}
      <Silent nodes={inspection?.no_answer} />
      <Commands kind={kind} actorKey={key} onAsk={setAsked} />
      <div className="columns">
        {inspection?.nodes.map((one) => (
          <OnNode key={one.node} found={one} onAsk={setAsked} />
        ))}
        <EventLog kind={kind} actorKey={key} />
      </div>
      {asked && <ActorCommand ask={asked} onClose={() => setAsked(null)} />}
    </div>
  );
}

function Commands({ kind, actorKey, onAsk }: { kind: string; actorKey: string; onAsk: (ask: Ask) => void }) {
  const { t } = useTranslation("admin");
  const button = (word: Word, isGrave: boolean | undefined) => (
    <Button
      key={word}
      size="compact"
      {...(isGrave && { look: "danger" as const })}
      onClick={() => onAsk({ kind, key: actorKey, command: word })}
    >
      {t(`actors.command.${word}`)}
    </Button>
  );
  const own = commandsOf(kind);
  return (
    <Section
      title={t("actors.commands")}
      aside={<span className="small muted">{t("actors.commandsHint")}</span>}
    >
      <div className="row">{COMMON.map((one) => button(one.word, "isGrave" in one))}</div>
      {own.length > 0 && (
        <>
          <p className="small muted">{t("actors.ownCommands", { kind })}</p>
          <div className="row">{own.map(({ word, isGrave }) => button(word, isGrave))}</div>
        </>
      )}
    </Section>
  );
}

function OnNode({ found, onAsk }: { found: Seen; onAsk: (ask: Ask) => void }) {
  const { t } = useTranslation("admin");
  const { node, vitals: one, state_data: inside, note, recent } = found;
  const { kind, key, state } = one;
  const isHeld = state === "paused";
  return (
    <Section
      title={node}
      aside={
        <span className="row">
          <Tag tone={stateTone(state)}>
            {t(`actors.state.${state as "running"}`, { defaultValue: state })}
          </Tag>
          <Button
            size="compact"
            onClick={() => onAsk({ kind, key, node, command: isHeld ? "resume" : "pause" })}
          >
            {isHeld ? t("actors.command.resume") : t("actors.command.pause")} @ {node}
          </Button>
        </span>
      }
    >
      <Facts
        facts={[
          [t("actors.queued"), `${one.queued} + ${one.in_flight}`],
          [t("actors.handled"), one.handled],
          [t("actors.restarts"), `${one.restarts} (#${one.incarnation})`],
          [
            t("actors.mean"),
            `${duration(one.handling_mean_us / 1000)} / ${duration(one.handling_max_us / 1000)}`,
          ],
          [t("actors.wait"), duration(one.queue_wait_max_us / 1000)],
          [t("actors.age"), duration(one.age_ms)],
          [
            t("actors.idle"),
            one.busy_ms > 0 ? t("actors.busyFor", { time: duration(one.busy_ms) }) : duration(one.idle_ms),
          ],
          [t("actors.lastError"), one.last_error && <span className="mono">{one.last_error}</span>],
        ]}
      />
      {recent && (
        <>
          <h3>{t("actors.recent")}</h3>
          <Recent messages={recent} node={node} />
        </>
      )}
      <h3>{t("actors.inside")}</h3>
      {inside === undefined || inside === null ? (
        <p className="muted small">
          {t("actors.insideNone")} {note}
        </p>
      ) : (
        <Json value={inside} />
      )}
    </Section>
  );
}
