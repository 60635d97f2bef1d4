/** What each node made of reading its settings anew. */
import { useTranslation } from "react-i18next";
import type { components } from "../../../api/schema";
import { Tag, type Tone } from "../../parts/Parts";
import { changesOf, outcomeOf, type Outcome } from "../rules/settings";

const TONES: Record<Outcome, Tone> = { applied: "good", unchanged: "", refused: "bad", no_answer: "bad" };

export function Reloaded({ nodes }: { nodes: readonly components["schemas"]["ReloadedJson"][] }) {
  const { t } = useTranslation("desk");
  return (
    <ul className="lines">
      {nodes.map((node) => {
        const outcome = outcomeOf(node.outcome);
        return (
          <li key={node.slot} className="line" data-testid={`reloaded-${node.node}`}>
            <div className="stack tight grow">
              <span className="row between">
                <span className="mono">{node.node}</span>
                <Tag tone={TONES[outcome]}>{t(`settings.outcome.${outcome}`)}</Tag>
              </span>
              {changesOf(node.changed).map(({ key, from, to }) => (
                <span key={key} className="small mono">
                  {key}: {from} → {to}
                </span>
              ))}
              {node.renewed.map((name) => (
                <span key={name} className="small">
                  {t("settings.renewed")}: {name}
                </span>
              ))}
              {node.problems.map((problem) => (
                <span key={problem} className="small problem">
                  {problem}
                </span>
              ))}
            </div>
          </li>
        );
      })}
    </ul>
  );
}
