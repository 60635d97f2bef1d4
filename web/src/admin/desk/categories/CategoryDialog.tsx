import { zodResolver } from "@hookform/resolvers/zod";
import { useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import * as z from "zod/mini";
import { api, dataOf } from "../../../api/client";
import { categories } from "../../../api/queries";
import { placeProblems, rules } from "../../../lib/forms";
import { useOnce } from "../../../lib/useOnce";
import { Button, ErrorNote } from "../../../ui/Basics";
import { Dialog } from "../../../ui/Dialog";
import { Field } from "../../../ui/Field";
import { SelectField } from "../../parts/Parts";
import { useDeskProblem, whole } from "../parts/problems";
import { possibleParents, type Branch } from "../rules/catalogue";

const schema = z.object({
  name: rules.required(50),
  parent_id: z.string(),
  position: whole(0, 1_000_000, "position"),
});

/** Adds a category below `parent`, or changes `branch`. */
export function CategoryDialog({
  all,
  branch,
  parent = 0,
  onClose,
}: {
  all: readonly Branch[];
  branch?: Branch;
  parent?: number;
  onClose: () => void;
}) {
  const { t } = useTranslation("desk");
  const { t: ofShop } = useTranslation();
  const problem = useDeskProblem();
  const client = useQueryClient();
  const { register, handleSubmit, setError, formState } = useForm({
    resolver: zodResolver(schema),
    defaultValues: {
      name: branch?.name ?? "",
      parent_id: String(branch?.parent_id ?? parent),
      position: String(branch?.position ?? 0),
    },
  });
  const save = useOnce({
    sameness: (form: z.infer<typeof schema>) => JSON.stringify(form),
    mutationFn: (key, form: z.infer<typeof schema>) => {
      const body = { name: form.name, parent_id: Number(form.parent_id), position: Number(form.position) };
      return dataOf(
        branch
          ? api.PUT("/api/category/{id}", { params: { path: { id: branch.id } }, body })
          : api.POST("/api/category", { params: { header: { "Idempotency-Key": key } }, body }),
      );
    },
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: categories.queryKey });
      onClose();
    },
    onError: (error) => placeProblems(error, ["name", "position"], setError),
  });
  const { errors } = formState;
  return (
    <Dialog title={branch ? t("categories.edit") : t("categories.add")} onClose={onClose}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => void handleSubmit((form) => save.mutate(form))(event)}
      >
        <Field label={t("categories.name")} problem={problem(errors.name)} {...register("name")} />
        <SelectField
          label={t("categories.parent")}
          options={[
            { value: "0", label: t("categories.top") },
            ...possibleParents(all, branch?.id ?? null).map(({ id, name, depth }) => ({
              value: String(id),
              label: "　".repeat(depth) + name,
            })),
          ]}
          {...register("parent_id")}
        />
        <Field
          label={t("categories.position")}
          hint={t("categories.positionHint")}
          inputMode="numeric"
          problem={problem(errors.position)}
          {...register("position")}
        />
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
