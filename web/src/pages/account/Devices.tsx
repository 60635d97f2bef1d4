import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, done } from "../../api/client";
import { devices as devicesQuery, type SignInSession } from "../../api/queries";
import { storeSession } from "../../api/session";
import { dateTime, deviceName } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { Button, ErrorNote, LoadingBlocks } from "../../ui/Basics";
import { Question } from "../../ui/Dialog";
import { Icon } from "../../ui/Icon";

/** No session of this name: all of them. */
const ALL = "*";

export function Devices() {
  const { t } = useTranslation();
  useTitle(t("account.devices"));
  const found = useQuery(devicesQuery);
  const [asked, setAsked] = useState<string | null>(null);
  return (
    <section className="card stack">
      <div className="row between">
        <h1>{t("account.devices")}</h1>
        <Button size="compact" look="danger" onClick={() => setAsked(ALL)}>
          {t("account.signOutAll")}
        </Button>
      </div>
      {found.isPending && <LoadingBlocks count={2} />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      <ul className="lines">
        {found.data?.map((device) => (
          <Device key={device.sid} device={device} onSignOut={() => setAsked(device.sid)} />
        ))}
      </ul>
      {asked && <SignOut sid={asked} onClose={() => setAsked(null)} />}
    </section>
  );
}

function Device({ device, onSignOut }: { device: SignInSession; onSignOut: () => void }) {
  const { t, i18n } = useTranslation();
  const name = deviceName(device.device) || "?";
  return (
    <li className="line">
      <Icon name="device" size={28} />
      <div className="stack tight grow">
        <span className="row">
          <strong>{name}</strong>
          {device.current && <span className="tag good">{t("account.current")}</span>}
        </span>
        <span className="muted small">
          {device.address} · {t("account.lastSeen", { time: dateTime(device.last_seen_at, i18n.language) })}
        </span>
        <span className="muted small">
          {t("account.signedInAt", { time: dateTime(device.created_at, i18n.language) })}
        </span>
      </div>
      {!device.current && (
        <Button size="compact" onClick={onSignOut}>
          {t("account.signOutDevice")}
        </Button>
      )}
    </li>
  );
}

function SignOut({ sid, onClose }: { sid: string; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const isAll = sid === ALL;
  const act = useMutation({
    mutationFn: () =>
      done(
        isAll
          ? api.POST("/api/auth/logout", { body: { all: true } })
          : api.DELETE("/api/auth/sessions/{sid}", { params: { path: { sid } } }),
      ),
    onSuccess: async () => {
      if (isAll) {
        storeSession(null);
      } else {
        await client.invalidateQueries({ queryKey: devicesQuery.queryKey });
        onClose();
      }
    },
  });
  return (
    <Question
      title={isAll ? t("account.signOutAllAsk") : t("account.signOutDeviceAsk")}
      yes={isAll ? t("account.signOutAll") : t("account.signOutDevice")}
      isGrave
      busy={act.isPending}
      problem={act.isError && <ErrorNote error={act.error} />}
      onYes={() => act.mutate()}
      onClose={onClose}
    />
  );
}
