/** The ledger in front of the books: rebuilt, its product declared sold out, and every "sold out" forgotten. */
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { toast } from "../../../ui/toasts";
import { CommandDialog } from "../../parts/CommandDialog";
import { command, keys } from "../queries";

const WORDS = { rebuild: "ledger", "set-sold-out": "setSoldOut", "clear-sold-out": "soldOut" } as const;

export type LedgerWord = keyof typeof WORDS;

export function LedgerDialog({
  productId,
  word,
  onClose,
}: {
  productId: number;
  word: LedgerWord;
  onClose: () => void;
}) {
  const { t } = useTranslation("desk");
  const client = useQueryClient();
  const name = WORDS[word];
  return (
    <CommandDialog<unknown>
      title={t(`stock.${name}Ask`)}
      hint={t(`stock.${name}Hint`)}
      yes={t(`stock.${name}`)}
      isGrave={word === "set-sold-out"}
      send={(key) => command("inventory", productId, word, key)}
      onDone={async () => {
        await client.invalidateQueries({ queryKey: keys.stock(productId) });
        toast(t(`stock.${name}Done`));
      }}
      onClose={onClose}
    />
  );
}
