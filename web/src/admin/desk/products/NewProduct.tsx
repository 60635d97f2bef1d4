import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { api, dataOf } from "../../../api/client";
import { placeProblems } from "../../../lib/forms";
import { useOnce } from "../../../lib/useOnce";
import { Button, ButtonLink, ErrorNote } from "../../../ui/Basics";
import { toast } from "../../../ui/toasts";
import { PageHead } from "../../parts/Parts";
import { keys } from "../queries";
import { bodyOf } from "../rules/catalogue";
import { ProductFields, SERVER_FIELDS, useProductForm, type Filled } from "./ProductFields";

export function NewProduct() {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  const navigate = useNavigate();
  const form = useProductForm();
  const add = useOnce({
    sameness: (filled: Filled) => JSON.stringify(filled),
    mutationFn: (key, filled: Filled) =>
      dataOf(
        api.POST("/api/product", {
          params: { header: { "Idempotency-Key": key } },
          body: { ...bodyOf(filled), stock: Number(filled.units) },
        }),
      ),
    onSuccess: async (product) => {
      await client.invalidateQueries({ queryKey: keys.products });
      await client.invalidateQueries({ queryKey: ["products"] });
      toast(t("products.added", { name: product.name }), {
        label: t("shared.inShop"),
        to: `/products/${product.id}`,
      });
      await navigate(`/admin/products/${product.id}`, { replace: true });
    },
    onError: (error) => placeProblems(error, SERVER_FIELDS, form.setError),
  });
  return (
    <div className="stack">
      <PageHead title={t("products.add")}>
        <ButtonLink to="/admin/products" size="compact">
          {t("shared.back")}
        </ButtonLink>
      </PageHead>
      <ProductFields form={form} isNew onSubmit={(filled) => add.mutate(filled)}>
        {add.isError && <ErrorNote error={add.error} />}
        <div className="form-end">
          <Button type="submit" look="primary" busy={add.isPending}>
            {t("shared.save")}
          </Button>
        </div>
      </ProductFields>
    </div>
  );
}
