/** What each node made of a command: an operator must see who did not do it. */
import { useTranslation } from "react-i18next";
import type { components } from "../../api/schema";
import { Note } from "../../ui/Basics";

export type NodeResult = components["schemas"]["NodeResult"];

type ErrorWord = "not_live" | "wrong_state" | "unknown_kind" | "refused" | "no_answer";

export function isNodeList(data: unknown): data is NodeResult[] {
  return (
    Array.isArray(data) &&
    data.length > 0 &&
    data.every((one) => typeof one === "object" && one !== null && "node" in one && "reached" in one)
  );
}

/** `says`: with a sentence that sums it up. */
export function NodeResults({ results, says = false }: { results: readonly NodeResult[]; says?: boolean }) {
  const { t } = useTranslation("admin");
  return (
    <>
      {says && <Summary results={results} />}
      <ul className="node-results" aria-label={t("command.results")}>
        {results.map((result) => (
          <Row key={`${result.slot}-${result.node}`} result={result} />
        ))}
      </ul>
    </>
  );
}

function Summary({ results }: { results: readonly NodeResult[] }) {
  const { t } = useTranslation("admin");
  const isDone = results.some(({ reached }) => reached > 0);
  const isWhole = results.every(({ error, failed }) => (!error || error === "not_live") && !failed);
  return (
    <Note tone={isDone && isWhole ? "good" : "warn"}>
      {isDone ? (isWhole ? t("command.done") : t("command.partly")) : t("command.nobody")}
    </Note>
  );
}

function Row({ result: { node, reached, error, failed } }: { result: NodeResult }) {
  const { t } = useTranslation("admin");
  const left = failed ?? 0;
  const tone = error === "not_live" ? "" : error ? "bad" : left > 0 ? "warn" : "good";
  return (
    <li data-testid={`result-${node}`}>
      <span className="mono">{node}</span>
      <span className="row">
        {left > 0 && <span className="tag warn">{t("command.failed", { count: left })}</span>}
        <span className={`tag ${tone}`}>
          {error
            ? t(`command.error.${error as ErrorWord}`, { defaultValue: error })
            : t("command.reached", { count: reached })}
        </span>
      </span>
    </li>
  );
}
