/** Changes a sale's terms; what was not touched is not sent. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../../api/client";
import { placeProblems } from "../../../lib/forms";
import { Button, ErrorNote } from "../../../ui/Basics";
import { Dialog } from "../../../ui/Dialog";
import { toast } from "../../../ui/toasts";
import { type Sale } from "../queries";
import { changesOf, formOf, type SaleForm } from "../rules/sales";
import { SERVER_FIELDS, SaleFields, useSaleForm } from "./SaleFields";

export function ChangeSale({ sale, onClose }: { sale: Sale; onClose: () => void }) {
  const { t } = useTranslation("desk");
  const { t: ofShop } = useTranslation();
  const client = useQueryClient();
  // As it was when the dialog opened: units go on selling behind it.
  const [values] = useState(() => formOf(sale));
  const form = useSaleForm(values, false);
  const save = useMutation({
    mutationFn: async (filled: SaleForm) => {
      const changes = changesOf(filled, values);
      if (Object.keys(changes).length === 0) return null;
      const path = { id: sale.id };
      return dataOf(api.PUT("/api/seckill/sale/{id}", { params: { path }, body: changes }));
    },
    onSuccess: async (changed) => {
      await client.invalidateQueries({ queryKey: ["desk"] });
      await client.invalidateQueries({ queryKey: ["sales"] });
      toast(t(changed ? "sales.changed" : "shared.nothingChanged"));
      onClose();
    },
    onError: (error) => placeProblems(error, SERVER_FIELDS, form.setError),
  });
  return (
    <Dialog title={t("sales.change")} onClose={onClose}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => void form.handleSubmit((filled) => save.mutate(filled))(event)}
      >
        <SaleFields form={form} />
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
