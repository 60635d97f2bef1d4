/** Plans a sale; its units are set aside at once. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useSearchParams } from "react-router";
import { api, dataOf } from "../../../api/client";
import { placeProblems } from "../../../lib/forms";
import { useOnce } from "../../../lib/useOnce";
import { serverNow } from "../../../live/clock";
import { Button, ButtonLink, ErrorNote } from "../../../ui/Basics";
import { toast } from "../../../ui/toasts";
import { PageHead, Section } from "../../parts/Parts";
import { productQuery, type Product } from "../queries";
import { bodyOf, type SaleForm } from "../rules/sales";
import { inputOf, nextHour } from "../rules/when";
import { ProductPicker } from "./ProductPicker";
import { SERVER_FIELDS, SaleFields, useSaleForm } from "./SaleFields";

const TWO_HOURS_MS = 2 * 3_600_000;

function suggested(): SaleForm {
  const start = nextHour(serverNow());
  return {
    price: "",
    stock: "",
    start_at: inputOf(start),
    end_at: inputOf(start + TWO_HOURS_MS),
    per_user_limit: "1",
  };
}

export function NewSale() {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  const navigate = useNavigate();
  const [params] = useSearchParams();
  const wanted = Number(params.get("product"));
  const known = useQuery({ ...productQuery(wanted), enabled: Number.isInteger(wanted) && wanted > 0 });
  const [picked, setPicked] = useState<Product | null | undefined>(undefined);
  const [isMissing, setMissing] = useState(false);
  const [values] = useState(suggested);
  const form = useSaleForm(values, true);
  const product = picked === undefined ? (known.data ?? null) : picked;
  const plan = useOnce({
    sameness: (wish: { productId: number; filled: SaleForm }) => JSON.stringify(wish),
    mutationFn: (key, { productId, filled }: { productId: number; filled: SaleForm }) =>
      dataOf(
        api.POST("/api/seckill/sale", {
          params: { header: { "Idempotency-Key": key } },
          body: { product_id: productId, ...bodyOf(filled) },
        }),
      ),
    onSuccess: async (sale) => {
      await client.invalidateQueries({ queryKey: ["desk"] });
      await client.invalidateQueries({ queryKey: ["sales"] });
      toast(t("sales.planned"));
      await navigate(`/admin/sales/${sale.id}`, { replace: true });
    },
    onError: (error) => placeProblems(error, SERVER_FIELDS, form.setError),
  });
  const submit = form.handleSubmit((filled) => {
    setMissing(product === null);
    if (product) plan.mutate({ productId: product.id, filled });
  });
  return (
    <div className="stack">
      <PageHead title={t("sales.planTitle")}>
        <ButtonLink to="/admin/sales" size="compact">
          {t("shared.back")}
        </ButtonLink>
      </PageHead>
      <form className="stack loose narrow" noValidate onSubmit={(event) => void submit(event)}>
        <Section title={t("sales.product")}>
          <ProductPicker
            product={product}
            problem={isMissing && !product ? t("check.productId") : undefined}
            onPick={setPicked}
          />
        </Section>
        <Section title={t("sales.window")}>
          <SaleFields form={form} isNew />
        </Section>
        {plan.isError && <ErrorNote error={plan.error} />}
        <div className="form-end">
          <span className="grow" />
          <Button type="submit" look="primary" busy={plan.isPending}>
            {t("sales.plan")}
          </Button>
        </div>
      </form>
    </div>
  );
}
