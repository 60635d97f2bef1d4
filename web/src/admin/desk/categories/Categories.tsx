/** The tree of categories. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api, done } from "../../../api/client";
import { categories } from "../../../api/queries";
import { Button, Empty, ErrorNote, LoadingBlocks } from "../../../ui/Basics";
import { Question } from "../../../ui/Dialog";
import { toast } from "../../../ui/toasts";
import { PageHead } from "../../parts/Parts";
import { branches, type Branch } from "../rules/catalogue";
import { CategoryDialog } from "./CategoryDialog";

type Asked = { what: "add"; parent: number } | { what: "edit" | "remove"; branch: Branch } | null;

export function Categories() {
  const { t } = useTranslation("desk");
  const found = useQuery(categories);
  const [asked, setAsked] = useState<Asked>(null);
  const list = branches(found.data ?? []);
  const close = () => setAsked(null);
  return (
    <div className="stack">
      <PageHead title={t("categories.title")} lead={t("categories.lead")}>
        <Button look="primary" size="compact" onClick={() => setAsked({ what: "add", parent: 0 })}>
          {t("categories.add")}
        </Button>
      </PageHead>
      {found.isPending && <LoadingBlocks count={2} />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data && list.length === 0 && (
        <Empty icon="grid" title={t("categories.empty")} hint={t("categories.emptyHint")} />
      )}
      {list.length > 0 && (
        <ul className="panel tree">
          {list.map((branch) => (
            <li key={branch.id} data-depth={branch.depth} data-testid={`category-${branch.id}`}>
              <span className="tree-name">
                <Link to={`/admin/products?category=${branch.id}`} title={t("categories.show")}>
                  {branch.name}
                </Link>
                <span className="small muted number">#{branch.position}</span>
              </span>
              <span className="tree-tools">
                <Button
                  size="compact"
                  aria-label={t("categories.addBelow", { name: branch.name })}
                  onClick={() => setAsked({ what: "add", parent: branch.id })}
                >
                  {t("shared.add")}
                </Button>
                <Button
                  size="compact"
                  aria-label={`${t("shared.edit")} ${branch.name}`}
                  onClick={() => setAsked({ what: "edit", branch })}
                >
                  {t("shared.edit")}
                </Button>
                <Button
                  size="compact"
                  look="danger"
                  aria-label={`${t("shared.remove")} ${branch.name}`}
                  onClick={() => setAsked({ what: "remove", branch })}
                >
                  {t("shared.remove")}
                </Button>
              </span>
            </li>
          ))}
        </ul>
      )}
      {asked?.what === "add" && <CategoryDialog all={list} parent={asked.parent} onClose={close} />}
      {asked?.what === "edit" && <CategoryDialog all={list} branch={asked.branch} onClose={close} />}
      {asked?.what === "remove" && <Remove branch={asked.branch} onClose={close} />}
    </div>
  );
}

function Remove({ branch, onClose }: { branch: Branch; onClose: () => void }) {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => done(api.DELETE("/api/category/{id}", { params: { path: { id: branch.id } } })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: categories.queryKey });
      toast(t("categories.removed", { name: branch.name }));
      onClose();
    },
  });
  return (
    <Question
      title={t("categories.removeAsk")}
      hint={t("categories.removeHint", { name: branch.name })}
      yes={t("shared.remove")}
      isGrave
      busy={remove.isPending}
      problem={remove.isError && <ErrorNote error={remove.error} />}
      onYes={() => remove.mutate()}
      onClose={onClose}
    />
  );
}
