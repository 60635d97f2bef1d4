import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { LoadingBlocks } from "../../ui/Basics";
import { compact } from "../format";
import type { NodeVitals } from "../live/frames";
import { useTopic } from "../live/useFeed";
import { Section, Tag } from "../parts/Parts";

/** The nodes, with what they hold. */
export function NodeStrip() {
  const { t, i18n } = useTranslation("admin");
  const vitals = useTopic("vitals");
  return (
    <Section
      title={t("nav.nodes")}
      aside={
        <Link to="/admin/actors" className="small">
          {t("nav.actors")}
        </Link>
      }
    >
      {!vitals && <LoadingBlocks count={1} />}
      <ul className="node-strip">
        {vitals?.nodes.map((node) => (
          <li key={node.node}>
            <span className="row">
              <span className="mono">{node.node}</span>
              {node.drained && <Tag tone="warn">{t("actors.drained")}</Tag>}
            </span>
            <span className="small muted number">
              {t("actors.liveCount", { count: live(node), figure: compact(live(node), i18n.language) })} ·{" "}
              {t("actors.waiting", { figure: compact(waiting(node), i18n.language) })}
            </span>
          </li>
        ))}
        {vitals?.no_answer.map((name) => (
          <li key={name}>
            <span className="mono">{name}</span>
            <Tag tone="bad">{t("command.error.no_answer")}</Tag>
          </li>
        ))}
      </ul>
    </Section>
  );
}

const kinds = (node: NodeVitals) => Object.values(node.kinds).filter((kind) => kind !== undefined);

function live(node: NodeVitals): number {
  const counts = kinds(node).flatMap(({ states }) => Object.values(states));
  return counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
}

function waiting(node: NodeVitals): number {
  return kinds(node).reduce((sum, { queued, in_flight }) => sum + queued + in_flight, 0);
}
