/** What is asked before a sale opens or ends by hand. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../../api/client";
import { serverNow } from "../../../live/clock";
import { ErrorNote } from "../../../ui/Basics";
import { Question } from "../../../ui/Dialog";
import { toast } from "../../../ui/toasts";
import type { Sale } from "../queries";

interface Props {
  sale: Sale;
  onClose: () => void;
}

export function OpenNow({ sale, onClose }: Props) {
  const { t } = useTranslation("desk");
  return (
    <Ask
      sale={sale}
      words={{ title: t("sales.openNowAsk"), yes: t("sales.openNow"), done: t("sales.opened") }}
      hint={t("sales.openNowHint", { name: sale.product_name })}
      send={() =>
        dataOf(
          api.PUT("/api/seckill/sale/{id}", {
            params: { path: { id: sale.id } },
            body: { start_at: new Date(serverNow()).toISOString() },
          }),
        )
      }
      onClose={onClose}
    />
  );
}

export function CloseSale({ sale, onClose }: Props) {
  const { t } = useTranslation("desk");
  return (
    <Ask
      sale={sale}
      isGrave
      words={{ title: t("sales.closeAsk"), yes: t("sales.close"), done: t("sales.closed") }}
      hint={t("sales.closeHint", { name: sale.product_name, left: sale.stock })}
      send={() => dataOf(api.DELETE("/api/seckill/sale/{id}", { params: { path: { id: sale.id } } }))}
      onClose={onClose}
    />
  );
}

function Ask({
  words,
  hint,
  isGrave = false,
  send,
  onClose,
}: Props & {
  words: { title: string; yes: string; done: string };
  hint: string;
  isGrave?: boolean;
  send: () => Promise<Sale>;
}) {
  const client = useQueryClient();
  const ask = useMutation({
    mutationFn: send,
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["desk"] });
      await client.invalidateQueries({ queryKey: ["sales"] });
      toast(words.done);
      onClose();
    },
  });
  return (
    <Question
      title={words.title}
      hint={hint}
      yes={words.yes}
      isGrave={isGrave}
      busy={ask.isPending}
      problem={ask.isError && <ErrorNote error={ask.error} />}
      onYes={() => ask.mutate()}
      onClose={onClose}
    />
  );
}
