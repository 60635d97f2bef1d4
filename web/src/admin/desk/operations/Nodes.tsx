/** The processes that serve the shop, and taking one out of service for a while. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../../api/client";
import type { components } from "../../../api/schema";
import { Button, ErrorNote, LoadingBlocks, Note } from "../../../ui/Basics";
import { CommandDialog } from "../../parts/CommandDialog";
import type { NodeResult } from "../../parts/NodeResults";
import { Facts, PageHead, Section, Tag, When } from "../../parts/Parts";
import { useTopic } from "../../live/useFeed";
import { command, keys } from "../queries";

type LiveNode = components["schemas"]["LiveNode"];

const LOOK_EVERY_MS = 5_000;

export function Nodes() {
  const { t } = useTranslation("desk");
  const [asked, setAsked] = useState<{ node: string; word: "drain" | "restart" } | null>(null);
  const vitals = useTopic("vitals");
  const found = useQuery({
    queryKey: keys.nodes,
    queryFn: ({ signal }) => dataOf(api.GET("/api/admin/nodes", { signal })),
    refetchInterval: LOOK_EVERY_MS,
  });
  const isDrained = (name: string) => vitals?.nodes.find(({ node }) => node === name)?.drained === true;
  return (
    <div className="stack">
      <PageHead title={t("nodes.title")} lead={t("nodes.lead")} />
      {found.isPending && <LoadingBlocks count={2} />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data?.is_current === false && <Note tone="warn">{t("nodes.stale")}</Note>}
      <div className="node-cards">
        {found.data?.nodes.map((node) => (
          <NodeCard
            key={node.slot}
            node={node}
            isDrained={isDrained(node.name)}
            onAsk={(word) => setAsked({ node: node.name, word })}
          />
        ))}
      </div>
      {asked && <Ask {...asked} onClose={() => setAsked(null)} />}
    </div>
  );
}

function NodeCard({
  node,
  isDrained,
  onAsk,
}: {
  node: LiveNode;
  isDrained: boolean;
  onAsk: (word: "drain" | "restart") => void;
}) {
  const { t } = useTranslation("desk");
  return (
    <div data-testid={`node-${node.name}`}>
      <Section
        title={node.name}
        aside={
          <span className="row">
            {isDrained && <Tag tone="warn">{t("nodes.drained")}</Tag>}
            {node.is_this && <Tag tone="info">{t("nodes.thisOne")}</Tag>}
          </span>
        }
      >
        <Facts
          facts={[
            [t("nodes.address"), <span className="mono">{node.address}</span>],
            [t("nodes.slot"), <span className="number">{node.slot}</span>],
            [t("nodes.started"), <When at={node.started_at} />],
          ]}
        />
        <div className="row">
          {isDrained ? (
            <Button size="compact" look="primary" onClick={() => onAsk("restart")}>
              {t("nodes.restart")}
            </Button>
          ) : (
            <Button size="compact" look="danger" onClick={() => onAsk("drain")}>
              {t("nodes.drain")}
            </Button>
          )}
        </div>
      </Section>
    </div>
  );
}

function Ask({ node, word, onClose }: { node: string; word: "drain" | "restart"; onClose: () => void }) {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  return (
    <CommandDialog
      title={t(`nodes.${word}Ask`, { name: node })}
      hint={t(`nodes.${word}Hint`)}
      yes={t(`nodes.${word}`)}
      isGrave={word === "drain"}
      send={(key) => command<NodeResult[]>("*", "*", word, key, { node })}
      onDone={() => client.invalidateQueries({ queryKey: keys.nodes })}
      onClose={onClose}
    />
  );
}
