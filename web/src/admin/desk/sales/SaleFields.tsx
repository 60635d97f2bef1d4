/** A sale's terms, to plan one or to change it. */
import { zodResolver } from "@hookform/resolvers/zod";
import { useForm, type UseFormReturn } from "react-hook-form";
import { useTranslation } from "react-i18next";
import * as z from "zod/mini";
import { Field } from "../../../ui/Field";
import { check, price, useDeskProblem, whole } from "../parts/problems";
import { UNITS_MAX } from "../rules/catalogue";
import { windowProblem, type SaleForm } from "../rules/sales";

const PER_BUYER_MAX = 999;

/** A planned sale has at least one unit, one that is changed may be emptied. */
function schema(isNew: boolean) {
  return z
    .object({
      price,
      stock: isNew ? whole(1, UNITS_MAX, "saleStock") : whole(0, UNITS_MAX, "saleLeft"),
      start_at: z.string(),
      end_at: z.string(),
      per_user_limit: whole(1, PER_BUYER_MAX, "limit"),
    })
    .check(
      z.refine((form) => windowProblem(form) !== "time", { error: check("time"), path: ["start_at"] }),
      z.refine((form) => windowProblem(form) !== "endBeforeStart", {
        error: check("endBeforeStart"),
        path: ["end_at"],
      }),
      z.refine((form) => windowProblem(form) !== "tooLongOpen", {
        error: check("tooLongOpen"),
        path: ["end_at"],
      }),
    );
}

export const SERVER_FIELDS = ["price", "stock", "start_at", "end_at", "per_user_limit"] as const;

export function useSaleForm(values: SaleForm, isNew: boolean) {
  return useForm<SaleForm>({ resolver: zodResolver(schema(isNew)), defaultValues: values });
}

export function SaleFields({ form, isNew }: { form: UseFormReturn<SaleForm>; isNew?: boolean }) {
  const { t } = useTranslation("desk");
  const problem = useDeskProblem();
  const { register, formState } = form;
  const { errors } = formState;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <div className="stack">
      <div className="field-pair">
        <Field
          label={`${t("sales.price")} (¥)`}
          inputMode="decimal"
          problem={problem(errors.price)}
          {...register("price")}
        />
        <Field
          label={t("sales.limit")}
          inputMode="numeric"
          problem={problem(errors.per_user_limit)}
          {...register("per_user_limit")}
        />
      </div>
      <Field
        label={t(isNew ? "sales.stock" : "sales.left")}
        hint={t(isNew ? "sales.stockHint" : "sales.leftHint")}
        inputMode="numeric"
        problem={problem(errors.stock)}
        {...register("stock")}
      />
      <div className="field-pair">
        <Field
          label={t("sales.start")}
          type="datetime-local"
          step={1}
          problem={problem(errors.start_at)}
          {...register("start_at")}
        />
        <Field
          label={t("sales.end")}
          type="datetime-local"
          step={1}
          problem={problem(errors.end_at)}
          {...register("end_at")}
        />
      </div>
      <p className="small muted">{t("sales.zone", { zone })}</p>
    </div>
  );
}
