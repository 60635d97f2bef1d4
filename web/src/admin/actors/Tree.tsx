/** Kinds of actors, below each the nodes: how many, in which states, what waits. Each step leads to the list it sums up. */
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { LoadingBlocks } from "../../ui/Basics";
import { compact } from "../format";
import type { Frames, KindVitals } from "../live/frames";
import { useTopic } from "../live/useFeed";
import { Section, Tag } from "../parts/Parts";
import type { Ask } from "./ActorCommand";
import { CommandMenu } from "./CommandMenu";
import { KINDS, STATES } from "./commands";
import { stateTone } from "./tones";

export function Tree({ onAsk }: { onAsk: (ask: Ask) => void }) {
  const { t } = useTranslation("admin");
  const vitals = useTopic("vitals");
  const known = new Set(vitals?.nodes.flatMap(({ kinds }) => Object.keys(kinds)));
  const kinds = [...KINDS.filter((kind) => known.has(kind)), ...[...known].filter((kind) => !isKnown(kind))];
  return (
    <Section title={t("actors.tree")} aside={<CommandMenu whom={{ kind: "*", key: "*" }} onAsk={onAsk} />}>
      {!vitals && <LoadingBlocks count={2} />}
      <ul className="tree">
        {vitals && kinds.map((kind) => <KindBranch key={kind} kind={kind} vitals={vitals} onAsk={onAsk} />)}
      </ul>
      {vitals && <NodeLevers vitals={vitals} onAsk={onAsk} />}
    </Section>
  );
}

const isKnown = (kind: string) => (KINDS as readonly string[]).includes(kind);

function KindBranch({
  kind,
  vitals,
  onAsk,
}: {
  kind: string;
  vitals: Frames["vitals"];
  onAsk: (ask: Ask) => void;
}) {
  const { t } = useTranslation("admin");
  const leaves = vitals.nodes.flatMap(({ node, kinds }) => {
    const of = kinds[kind];
    return of ? [{ node, of }] : [];
  });
  const sum = leaves.reduce((total, { of }) => added(total, of), EMPTY);
  return (
    <li>
      <details open={leaves.length > 1}>
        <summary>
          <span className="tree-name mono">{kind}</span>
          <Sums of={sum} />
        </summary>
        <ul>
          {leaves.map(({ node, of }) => (
            <li key={node} className="tree-leaf">
              <Link className="mono" to={`/admin/actors?kind=${kind}&node=${encodeURIComponent(node)}`}>
                {node}
              </Link>
              <States kind={kind} node={node} of={of} />
              <Sums of={of} />
              <CommandMenu whom={{ kind, key: "*", node }} onAsk={onAsk} />
            </li>
          ))}
          <li className="tree-leaf">
            <Link to={`/admin/actors?kind=${kind}`} className="small">
              {t("actors.showAll")}
            </Link>
            <span className="push" />
            <CommandMenu whom={{ kind, key: "*" }} onAsk={onAsk} />
          </li>
        </ul>
      </details>
    </li>
  );
}

const EMPTY: KindVitals = { handled: 0, in_flight: 0, queued: 0, restarts: 0, states: {} };

function added(one: KindVitals, other: KindVitals): KindVitals {
  const states = { ...one.states };
  for (const [state, count] of Object.entries(other.states))
    states[state] = (states[state] ?? 0) + (count ?? 0);
  return {
    handled: one.handled + other.handled,
    in_flight: one.in_flight + other.in_flight,
    queued: one.queued + other.queued,
    restarts: one.restarts + other.restarts,
    states,
  };
}

function Sums({ of }: { of: KindVitals }) {
  const { t, i18n } = useTranslation("admin");
  const live = Object.values(of.states).reduce<number>((sum, count) => sum + (count ?? 0), 0);
  return (
    <span className="tree-sums small number">
      <b>{compact(live, i18n.language)}</b>
      <span className="muted">
        {t("actors.waiting", { figure: compact(of.queued + of.in_flight, i18n.language) })}
      </span>
      {of.restarts > 0 && <Tag tone="warn">{t("actors.restarted", { count: of.restarts })}</Tag>}
    </span>
  );
}

/** What is not running, each a link to those. */
function States({ kind, node, of }: { kind: string; node: string; of: KindVitals }) {
  const { t } = useTranslation("admin");
  const unusual = STATES.filter((state) => state !== "running" && (of.states[state] ?? 0) > 0);
  return (
    <span className="row">
      {unusual.map((state) => (
        <Link
          key={state}
          to={`/admin/actors?kind=${kind}&node=${encodeURIComponent(node)}&state=${state}`}
          className={`tag ${stateTone(state)}`}
        >
          {of.states[state]} {t(`actors.state.${state}`)}
        </Link>
      ))}
    </span>
  );
}

/** Whole nodes: draining one takes it out of service. */
function NodeLevers({ vitals, onAsk }: { vitals: Frames["vitals"]; onAsk: (ask: Ask) => void }) {
  const { t } = useTranslation("admin");
  return (
    <ul className="node-strip">
      {vitals.nodes.map(({ node, drained }) => (
        <li key={node}>
          <span className="row">
            <span className="small muted">{t("actors.wholeNode")}</span>
            <span className="mono">{node}</span>
            {drained && <Tag tone="warn">{t("actors.drained")}</Tag>}
          </span>
          <CommandMenu whom={{ kind: "*", key: "*", node }} onAsk={onAsk} />
        </li>
      ))}
    </ul>
  );
}
