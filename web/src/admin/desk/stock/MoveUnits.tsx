/** Puts units in, takes them out, or says how many there are: each once, however often it is sent. */
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../../api/client";
import { count } from "../../../lib/format";
import { formText } from "../../../lib/formText";
import { Field } from "../../../ui/Field";
import { toast } from "../../../ui/toasts";
import { CommandDialog, type Wish } from "../../parts/CommandDialog";
import { command, productQuery, type StockBook } from "../queries";
import { unitsOf } from "../rules/units";

export type MoveWord = "add" | "takeOut" | "correct";

const WORDS = {
  add: { label: "stock.addUnits", hint: "stock.addHint" },
  takeOut: { label: "stock.takeUnits", hint: "stock.takeHint" },
  correct: { label: "stock.correctUnits", hint: "stock.correctHint" },
} as const;

export function MoveUnits({ book, word, onClose }: { book: StockBook; word: MoveWord; onClose: () => void }) {
  const { t, i18n } = useTranslation("desk");
  const client = useQueryClient();
  const id = book.product_id;
  const least = word === "correct" ? 0 : 1;
  const wanted = ({ form }: Wish) => unitsOf(formText(form, "units"), least);
  const send = async (key: string, wish: Wish): Promise<void> => {
    const units = wanted(wish) ?? 0;
    if (word === "correct") {
      await dataOf(api.PUT("/api/product/{id}", { params: { path: { id } }, body: { stock: units } }));
      return;
    }
    await command("inventory", id, "restock", key, {
      units: word === "add" ? units : -units,
      reason: wish.reason,
    });
  };
  const onDone = async () => {
    await client.invalidateQueries({ queryKey: ["desk"] });
    await client.invalidateQueries({ queryKey: ["product", id] });
    const { stock } = await client.query({ ...productQuery(id), staleTime: 0 });
    toast(t("stock.done", { free: count(stock, i18n.language) }));
  };
  return (
    <CommandDialog
      title={`${t(`stock.${word}`)} · ${book.product_name}`}
      yes={t(`stock.${word}`)}
      {...(word !== "correct" && { reason: "optional" as const })}
      check={(wish) => (wanted(wish) === null ? t(least === 0 ? "check.stock" : "check.moved") : undefined)}
      send={send}
      onDone={onDone}
      onClose={onClose}
    >
      <Field
        label={t(WORDS[word].label)}
        hint={t(WORDS[word].hint)}
        name="units"
        inputMode="numeric"
        autoComplete="off"
        defaultValue={word === "correct" ? String(book.free) : ""}
      />
    </CommandDialog>
  );
}
