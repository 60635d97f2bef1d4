/** One product: its fields, and what leads on from it. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { api, dataOf, done } from "../../../api/client";
import { placeProblems } from "../../../lib/forms";
import { Button, ButtonLink, ErrorNote, LoadingBlocks } from "../../../ui/Basics";
import { Question } from "../../../ui/Dialog";
import { toast } from "../../../ui/toasts";
import { PageHead } from "../../parts/Parts";
import { keys, productQuery, type Product } from "../queries";
import { changesOf, formOf } from "../rules/catalogue";
import { ProductFields, SERVER_FIELDS, useProductForm, type Filled } from "./ProductFields";
import { ShelfTag } from "./Products";

export function ProductPage() {
  const id = Number(useParams().id);
  const found = useQuery(productQuery(id));
  if (found.data) return <Shown key={found.data.id} product={found.data} />;
  return found.error ? <ErrorNote error={found.error} onRetry={found.refetch} /> : <LoadingBlocks />;
}

function Shown({ product }: { product: Product }) {
  const { t } = useTranslation("desk");
  const [isAsked, setAsked] = useState(false);
  return (
    <div className="stack">
      <PageHead title={product.name}>
        <ShelfTag isOn={product.status === 1} />
        <ButtonLink to={`/admin/stock/${product.id}`} size="compact">
          {t("products.toStock")}
        </ButtonLink>
        <ButtonLink to={`/admin/sales/new?product=${product.id}`} size="compact">
          {t("products.planSale")}
        </ButtonLink>
        <ButtonLink to={`/products/${product.id}`} size="compact">
          {t("shared.inShop")}
        </ButtonLink>
      </PageHead>
      <Change product={product} onRemove={() => setAsked(true)} />
      {isAsked && <Remove product={product} onClose={() => setAsked(false)} />}
    </div>
  );
}

function Change({ product, onRemove }: { product: Product; onRemove: () => void }) {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  const form = useProductForm(formOf(product));
  const save = useMutation({
    mutationFn: async (filled: Filled) => {
      const changes = changesOf(filled, product);
      if (Object.keys(changes).length === 0) return null;
      const path = { id: product.id };
      return dataOf(api.PUT("/api/product/{id}", { params: { path }, body: changes }));
    },
    onSuccess: async (changed) => {
      if (!changed) {
        toast(t("shared.nothingChanged"));
        return;
      }
      client.setQueryData(keys.product(product.id), changed);
      form.reset({
        ...form.getValues(),
        ...formOf(changed),
        pictures: [...formOf(changed).pictures],
      } as Filled);
      toast(t("shared.saved"));
      await client.invalidateQueries({ queryKey: keys.products });
      await client.invalidateQueries({ queryKey: ["product", product.id] });
    },
    onError: (error) => placeProblems(error, SERVER_FIELDS, form.setError),
  });
  return (
    <ProductFields form={form} onSubmit={(filled) => save.mutate(filled)}>
      <p className="small muted">{t("products.stockElsewhere")}</p>
      {save.isError && <ErrorNote error={save.error} />}
      <div className="form-end">
        <Button look="danger" onClick={onRemove}>
          {t("shared.remove")}
        </Button>
        <span className="grow" />
        {form.formState.isDirty && <span className="small muted">{t("shared.unsaved")}</span>}
        <Button type="submit" look="primary" busy={save.isPending}>
          {t("shared.save")}
        </Button>
      </div>
    </ProductFields>
  );
}

function Remove({ product, onClose }: { product: Product; onClose: () => void }) {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    mutationFn: () => done(api.DELETE("/api/product/{id}", { params: { path: { id: product.id } } })),
    onSuccess: async () => {
      toast(t("products.removed", { name: product.name }));
      await navigate("/admin/products");
      client.removeQueries({ queryKey: keys.product(product.id) });
      await client.invalidateQueries({ queryKey: keys.products });
    },
  });
  return (
    <Question
      title={t("products.removeAsk")}
      hint={t("products.removeHint", { name: product.name })}
      yes={t("shared.remove")}
      isGrave
      busy={remove.isPending}
      problem={remove.isError && <ErrorNote error={remove.error} />}
      onYes={() => remove.mutate()}
      onClose={onClose}
    />
  );
}
