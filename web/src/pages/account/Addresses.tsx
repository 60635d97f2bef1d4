import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, done } from "../../api/client";
import { addresses as addressQuery, type Address } from "../../api/queries";
import { useTitle } from "../../lib/hooks";
import { Button, Empty, ErrorNote, LoadingBlocks } from "../../ui/Basics";
import { Question } from "../../ui/Dialog";
import { AddressForm } from "../AddressForm";

type Asked = { what: "add" } | { what: "edit" | "remove"; address: Address } | null;

export function Addresses() {
  const { t } = useTranslation();
  useTitle(t("address.title"));
  const found = useQuery(addressQuery);
  const [asked, setAsked] = useState<Asked>(null);
  const close = () => setAsked(null);
  return (
    <section className="card stack">
      <div className="row between">
        <h1>{t("address.title")}</h1>
        <Button size="compact" look="primary" onClick={() => setAsked({ what: "add" })}>
          {t("address.add")}
        </Button>
      </div>
      {found.isPending && <LoadingBlocks count={2} />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data?.length === 0 && (
        <Empty icon="pin" title={t("address.empty")} hint={t("address.emptyHint")} />
      )}
      <ul className="lines">
        {found.data?.map((address) => (
          <li key={address.id} className="line">
            <div className="stack tight grow">
              <span className="row">
                <strong>{address.receiver}</strong>
                <span className="muted number">{address.phone}</span>
                {address.is_default && <span className="tag good">{t("address.default")}</span>}
              </span>
              <span className="muted">
                {address.region} {address.detail}
              </span>
              <span className="row">
                <Button size="compact" onClick={() => setAsked({ what: "edit", address })}>
                  {t("common.edit")}
                </Button>
                <Button size="compact" look="danger" onClick={() => setAsked({ what: "remove", address })}>
                  {t("common.remove")}
                </Button>
              </span>
            </div>
          </li>
        ))}
      </ul>
      {asked?.what === "add" && <AddressForm onClose={close} />}
      {asked?.what === "edit" && <AddressForm address={asked.address} onClose={close} />}
      {asked?.what === "remove" && <Remove address={asked.address} onClose={close} />}
    </section>
  );
}

function Remove({ address, onClose }: { address: Address; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => done(api.DELETE("/api/user/address/{id}", { params: { path: { id: address.id } } })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: addressQuery.queryKey });
      onClose();
    },
  });
  return (
    <Question
      title={t("address.removeAsk")}
      hint={`${address.receiver} · ${address.region} ${address.detail}`}
      yes={t("common.remove")}
      isGrave
      busy={remove.isPending}
      problem={remove.isError && <ErrorNote error={remove.error} />}
      onYes={() => remove.mutate()}
      onClose={onClose}
    />
  );
}
