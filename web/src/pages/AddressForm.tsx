import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import * as z from "zod/mini";
import { api, dataOf } from "../api/client";
import type { Address } from "../api/queries";
import { placeProblems, rules, useProblem } from "../lib/forms";
import { Button, ErrorNote } from "../ui/Basics";
import { Dialog } from "../ui/Dialog";
import { Field, TextArea } from "../ui/Field";

const schema = z.object({
  receiver: rules.required(50),
  phone: rules.phone,
  region: rules.optional(100),
  detail: rules.required(200),
  is_default: z.boolean(),
});

/** Adds an address, or changes `address`. */
export function AddressForm({
  address,
  onSaved,
  onClose,
}: {
  address?: Address;
  onSaved?: (address: Address) => void;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const problem = useProblem();
  const client = useQueryClient();
  const { receiver = "", phone = "", region = "", detail = "", is_default = false } = address ?? {};
  const { register, handleSubmit, setError, formState } = useForm({
    resolver: zodResolver(schema),
    defaultValues: { receiver, phone, region, detail, is_default },
  });
  const save = useMutation({
    mutationFn: (form: z.infer<typeof schema>) =>
      dataOf(
        address
          ? api.PUT("/api/user/address/{id}", { params: { path: { id: address.id } }, body: form })
          : api.POST("/api/user/address", { body: form }),
      ),
    onSuccess: async (saved) => {
      await client.invalidateQueries({ queryKey: ["mine", "addresses"] });
      onSaved?.(saved);
      onClose();
    },
    onError: (error) => placeProblems(error, ["receiver", "phone", "region", "detail"], setError),
  });
  const { errors } = formState;
  return (
    <Dialog title={address ? t("address.edit") : t("address.add")} onClose={onClose}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => void handleSubmit((form) => save.mutate(form))(event)}
      >
        <Field
          label={t("address.receiver")}
          autoComplete="name"
          problem={problem(errors.receiver)}
          {...register("receiver")}
        />
        <Field
          label={t("address.phone")}
          type="tel"
          autoComplete="tel"
          problem={problem(errors.phone)}
          {...register("phone")}
        />
        <Field
          label={t("address.region")}
          isOptional
          placeholder={t("address.regionHint")}
          problem={problem(errors.region)}
          {...register("region")}
        />
        <TextArea
          label={t("address.detail")}
          autoComplete="street-address"
          problem={problem(errors.detail)}
          {...register("detail")}
        />
        <label className="check">
          <input type="checkbox" {...register("is_default")} />
          {t("address.isDefault")}
        </label>
        {save.isError && <ErrorNote error={save.error} />}
        <div className="dialog-actions">
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button type="submit" look="primary" busy={save.isPending}>
            {t("common.save")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
