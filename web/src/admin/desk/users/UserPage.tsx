/** One user: who it is, where he is signed in, and what an administrator may do about it. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { api, dataOf } from "../../../api/client";
import { count, money } from "../../../lib/format";
import { useSession } from "../../../lib/hooks";
import { Button, ButtonLink, ErrorNote, LoadingBlocks, Note } from "../../../ui/Basics";
import { Question } from "../../../ui/Dialog";
import { toast } from "../../../ui/toasts";
import { Facts, PageHead, Section, When } from "../../parts/Parts";
import { keys, userQuery, type AdminUser } from "../queries";
import { SignIns } from "./SignIns";
import { AccessTag, RoleTag } from "./Users";

type Change = "shutOut" | "letIn" | "promote" | "demote";

const BODY: Record<Change, { status?: number; role?: number }> = {
  shutOut: { status: 0 },
  letIn: { status: 1 },
  promote: { role: 2 },
  demote: { role: 1 },
};

const isGrave = (change: Change) => change === "shutOut" || change === "demote";

export function UserPage() {
  const id = Number(useParams().id);
  const found = useQuery(userQuery(id));
  if (found.data) return <Shown key={id} user={found.data} />;
  return found.error ? <ErrorNote error={found.error} onRetry={found.refetch} /> : <LoadingBlocks />;
}

function Shown({ user }: { user: AdminUser }) {
  const { t, i18n } = useTranslation("desk");
  const [asked, setAsked] = useState<Change | null>(null);
  const isSelf = useSession()?.user.id === user.id;
  const changes: Change[] = [user.status === 1 ? "shutOut" : "letIn", user.role === 2 ? "demote" : "promote"];
  return (
    <div className="stack">
      <PageHead title={t("users.of", { name: user.username })}>
        <ButtonLink to="/admin/users" size="compact">
          {t("shared.back")}
        </ButtonLink>
      </PageHead>
      <div className="columns">
        <Section
          title={user.nickname || user.username}
          aside={
            <span className="row">
              <RoleTag role={user.role} />
              <AccessTag status={user.status} />
            </span>
          }
        >
          <Facts
            facts={[
              [t("shared.id"), <span className="number">{user.id}</span>],
              [t("users.contact"), [user.email, user.phone].filter(Boolean).join(" · ")],
              [t("users.since"), <When at={user.created_at} exact />],
              [t("users.lastSeen"), <When at={user.last_seen_at} />],
              [
                t("users.orderCount"),
                <Link to={`/admin/orders?user_id=${user.id}`} className="number">
                  {count(user.orders, i18n.language)}
                </Link>,
              ],
              [t("users.spent"), <span className="number">{money(user.spent)}</span>],
            ]}
          />
          {isSelf ? (
            <Note tone="info">{t("users.selfNote")}</Note>
          ) : (
            <div className="row">
              {changes.map((change) => (
                <Button
                  key={change}
                  {...(isGrave(change) && { look: "danger" as const })}
                  onClick={() => setAsked(change)}
                >
                  {t(`users.${change}`)}
                </Button>
              ))}
            </div>
          )}
        </Section>
        <SignIns user={user} />
      </div>
      {asked && <Ask user={user} change={asked} onClose={() => setAsked(null)} />}
    </div>
  );
}

function Ask({ user, change, onClose }: { user: AdminUser; change: Change; onClose: () => void }) {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  const save = useMutation({
    mutationFn: () =>
      dataOf(api.PUT("/api/admin/users/{id}", { params: { path: { id: user.id } }, body: BODY[change] })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: keys.user(user.id) });
      await client.invalidateQueries({ queryKey: keys.signIns(user.id) });
      await client.invalidateQueries({ queryKey: keys.users });
      toast(t("users.changed", { name: user.username }));
      onClose();
    },
  });
  return (
    <Question
      title={t(`users.${change}Ask`)}
      hint={t(`users.${change}Hint`, { name: user.username })}
      yes={t(`users.${change}`)}
      isGrave={isGrave(change)}
      busy={save.isPending}
      problem={save.isError && <ErrorNote error={save.error} />}
      onYes={() => save.mutate()}
      onClose={onClose}
    />
  );
}
