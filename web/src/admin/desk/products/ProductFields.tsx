/** A product's fields, to add one or to change it. Its units are no field: they are moved (stock/). */
import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Controller, useForm, type UseFormReturn } from "react-hook-form";
import { useTranslation } from "react-i18next";
import * as z from "zod/mini";
import { categories } from "../../../api/queries";
import { rules } from "../../../lib/forms";
import { Field, TextArea } from "../../../ui/Field";
import { CheckField, Section, SelectField } from "../../parts/Parts";
import { check, price, useDeskProblem, whole } from "../parts/problems";
import { DESCRIPTION_MAX, NAME_MAX, UNITS_MAX, branches, type ProductForm } from "../rules/catalogue";
import { Pictures } from "./Pictures";
import { Traits } from "./Traits";

const traits = z.array(z.object({ name: rules.optional(100), value: rules.optional(2_000) })).check(
  z.refine((rows) => {
    const names = rows.map(({ name }) => name.trim()).filter(Boolean);
    return new Set(names).size === names.length;
  }, check("traitName")),
);

const schema = z.object({
  name: rules.required(NAME_MAX),
  description: rules.optional(DESCRIPTION_MAX),
  price,
  category_id: z.string(),
  isOnShelf: z.boolean(),
  pictures: z.array(z.string()),
  traits,
  units: whole(0, UNITS_MAX, "stock"),
});

export type Filled = z.infer<typeof schema>;

export const EMPTY: Filled = {
  name: "",
  description: "",
  price: "",
  category_id: "0",
  isOnShelf: true,
  pictures: [],
  traits: [],
  units: "0",
};

/** Where the server's field problems belong. */
export const SERVER_FIELDS = ["name", "description", "price"] as const;

export function useProductForm(values?: ProductForm) {
  return useForm<Filled>({
    resolver: zodResolver(schema),
    defaultValues: values
      ? { ...EMPTY, ...values, pictures: [...values.pictures], traits: [...values.traits] }
      : EMPTY,
  });
}

export function ProductFields({
  form,
  isNew,
  onSubmit,
  children,
}: {
  form: UseFormReturn<Filled>;
  isNew?: boolean;
  onSubmit: (form: Filled) => void;
  /** What can be done, below the fields. */
  children: ReactNode;
}) {
  const { t } = useTranslation("desk");
  const problem = useDeskProblem();
  const tree = useQuery(categories).data ?? [];
  const { register, handleSubmit, control, formState } = form;
  const { errors } = formState;
  return (
    <form
      className="stack loose"
      noValidate
      onSubmit={(event) => void handleSubmit((filled) => onSubmit(filled))(event)}
    >
      <div className="columns">
        <Section title={t("products.basics")}>
          <div className="stack">
            <Field label={t("shared.name")} problem={problem(errors.name)} {...register("name")} />
            <div className="field-pair">
              <Field
                label={`${t("shared.price")} (¥)`}
                inputMode="decimal"
                problem={problem(errors.price)}
                {...register("price")}
              />
              {isNew && (
                <Field
                  label={t("products.firstUnits")}
                  inputMode="numeric"
                  hint={t("products.firstUnitsHint")}
                  problem={problem(errors.units)}
                  {...register("units")}
                />
              )}
            </div>
            <Controller
              control={control}
              name="category_id"
              render={({ field }) => (
                <SelectField
                  {...field}
                  label={t("products.category")}
                  options={[
                    { value: "0", label: t("products.noCategory") },
                    ...branches(tree).map(({ id, name, depth }) => ({
                      value: String(id),
                      label: "　".repeat(depth) + name,
                    })),
                  ]}
                />
              )}
            />
            <TextArea
              label={t("products.description")}
              isOptional
              rows={6}
              problem={problem(errors.description)}
              {...register("description")}
            />
            <div>
              <CheckField label={t("products.shelf")} {...register("isOnShelf")} />
              <p className="small muted">{t("products.shelfHint")}</p>
            </div>
          </div>
        </Section>
        <div className="stack loose">
          <Controller
            control={control}
            name="pictures"
            render={({ field }) => <Pictures pictures={field.value} onChange={field.onChange} />}
          />
          <Controller
            control={control}
            name="traits"
            render={({ field }) => (
              <Traits
                traits={field.value}
                problem={problem(errors.traits?.root ?? errors.traits)}
                onChange={field.onChange}
              />
            )}
          />
        </div>
      </div>
      {children}
    </form>
  );
}
