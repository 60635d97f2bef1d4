/** Where a user is signed in. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { deviceName } from "../../../lib/format";
import { Button, ErrorNote, LoadingBlocks } from "../../../ui/Basics";
import { toast } from "../../../ui/toasts";
import { CommandDialog } from "../../parts/CommandDialog";
import { Section, When } from "../../parts/Parts";
import { command, keys, signInsQuery, type SignIn, type User } from "../queries";

type Asked = { what: "revoke"; signIn: SignIn } | { what: "revokeAll" } | { what: "disconnect" };

export function SignIns({ user }: { user: User }) {
  const { t } = useTranslation("desk");
  const found = useQuery(signInsQuery(user.id));
  const [asked, setAsked] = useState<Asked | null>(null);
  const list = found.data ?? [];
  return (
    <Section
      title={t("users.sessions")}
      aside={
        list.length > 0 && (
          <Button size="compact" look="danger" onClick={() => setAsked({ what: "revokeAll" })}>
            {t("users.revokeAll")}
          </Button>
        )
      }
    >
      {found.isPending && <LoadingBlocks count={1} />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data && list.length === 0 && <p className="muted">{t("users.noSessions")}</p>}
      <ul className="lines">
        {list.map((signIn) => (
          <li key={signIn.sid} className="line" data-testid="sign-in">
            <div className="stack tight grow">
              <strong>{deviceName(signIn.device) || t("users.device")}</strong>
              <span className="small muted">
                {signIn.address} · {t("users.lastSeen")} <When at={signIn.last_seen_at} /> ·{" "}
                {t("users.signedIn")} <When at={signIn.created_at} />
              </span>
            </div>
            <Button size="compact" onClick={() => setAsked({ what: "revoke", signIn })}>
              {t("users.revoke")}
            </Button>
          </li>
        ))}
      </ul>
      {list.length > 0 && (
        <div>
          <Button look="quiet" size="compact" onClick={() => setAsked({ what: "disconnect" })}>
            {t("users.disconnect")}
          </Button>
        </div>
      )}
      {asked && <Ask user={user} asked={asked} onClose={() => setAsked(null)} />}
    </Section>
  );
}

function Ask({ user, asked, onClose }: { user: User; asked: Asked; onClose: () => void }) {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  const isCut = asked.what === "disconnect";
  return (
    <CommandDialog<unknown>
      title={t(`users.${asked.what}Ask`)}
      hint={t(isCut ? "users.disconnectHint" : "users.revokeHint", { name: user.username })}
      yes={t(`users.${asked.what}`)}
      isGrave={!isCut}
      send={(key) =>
        command("session", user.id, isCut ? "disconnect" : "revoke", key, {
          ...(asked.what === "revoke" && { sid: asked.signIn.sid }),
        })
      }
      onDone={async () => {
        await client.invalidateQueries({ queryKey: keys.signIns(user.id) });
        if (!isCut) toast(t("users.revoked"));
      }}
      onClose={onClose}
    />
  );
}
