/** The waiting room in front of a sale: how many it lets in, how many wait, and the dialog that opens or closes it. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../../api/client";
import { count } from "../../../lib/format";
import { Button, ErrorNote } from "../../../ui/Basics";
import { Dialog } from "../../../ui/Dialog";
import { Field } from "../../../ui/Field";
import { toast } from "../../../ui/toasts";
import { Facts, Section, SelectField, Tag, When } from "../../parts/Parts";
import type { AdminSale } from "../queries";
import { ROOM_MODES, isRate, modeOf, rateOf, type RoomMode } from "../rules/room";

export function SaleRoom({ sale }: { sale: AdminSale }) {
  const { t, i18n } = useTranslation("desk");
  const room = sale.waiting_room;
  const isOpen = room.admissions_per_second > 0;
  return (
    <Section title={t("sales.room")}>
      <div data-testid="sale-room">
        <Facts
          facts={[
            [
              t("shared.status"),
              <span className="row tight">
                <Tag tone={isOpen ? "good" : ""}>{t(isOpen ? "sales.roomOpen" : "sales.roomOff")}</Tag>
                <span className="small muted">
                  {t(room.is_own ? "sales.roomOwn" : "sales.roomAsSettings")}
                </span>
              </span>,
            ],
            [
              t("sales.admittedPerSecond"),
              <span className="number">
                {isOpen ? count(room.admissions_per_second, i18n.language) : "—"}
              </span>,
            ],
            [
              t("sales.waiting"),
              <span className="number" data-testid="sale-waiting">
                {room.waiting == null ? "—" : count(room.waiting, i18n.language)}
              </span>,
            ],
            [t("sales.waitingUntil"), <When at={room.waiting_until} exact />],
          ]}
        />
      </div>
    </Section>
  );
}

export function CommandRoom({ sale, onClose }: { sale: AdminSale; onClose: () => void }) {
  const { t } = useTranslation("desk");
  const { t: ofShop } = useTranslation();
  const client = useQueryClient();
  // As it was when the dialog opened.
  const [mode, setMode] = useState<RoomMode>(() => modeOf(sale.waiting_room));
  const [rate, setRate] = useState(() =>
    sale.waiting_room.admissions_per_second > 0 ? String(sale.waiting_room.admissions_per_second) : "",
  );
  const [isWrong, setWrong] = useState(false);
  const save = useMutation({
    mutationFn: (admissions_per_second: number | null) =>
      dataOf(
        api.PUT("/api/admin/sales/{id}/waiting-room", {
          params: { path: { id: sale.id } },
          body: { admissions_per_second },
        }),
      ),
    onSuccess: async (room) => {
      await client.invalidateQueries({ queryKey: ["desk"] });
      toast(t(room.admissions_per_second > 0 ? "sales.roomOpened" : "sales.roomClosed"));
      onClose();
    },
  });
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const isRefused = mode === "own" && !isRate(rate);
    setWrong(isRefused);
    if (!isRefused) save.mutate(rateOf(mode, rate));
  };
  return (
    <Dialog title={t("sales.room")} onClose={onClose}>
      <form className="stack" noValidate onSubmit={submit}>
        <p className="muted">{t("sales.roomHint")}</p>
        <SelectField
          label={t("sales.roomMode")}
          value={mode}
          options={ROOM_MODES.map((value) => ({ value, label: t(`sales.roomModes.${value}`) }))}
          hint={t(`sales.roomModeHints.${mode}`)}
          onChange={(event) => setMode(event.target.value as RoomMode)}
        />
        {mode === "own" && (
          <Field
            label={t("sales.admittedPerSecond")}
            inputMode="numeric"
            value={rate}
            problem={isWrong && !isRate(rate) ? t("check.admissions") : undefined}
            onChange={(event) => setRate(event.target.value)}
          />
        )}
        {save.isError && <ErrorNote error={save.error} />}
        <div className="dialog-actions">
          <Button onClick={onClose}>{ofShop("common.cancel")}</Button>
          <Button type="submit" look="primary" busy={save.isPending}>
            {t("shared.save")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
