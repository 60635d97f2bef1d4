/** The words of what is wrong in a form of these pages: rules of ours, rules of the shop, or what the server said. */
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import * as z from "zod/mini";
import type { deskZh } from "../../../i18n/desk.zh";
import { isAmount } from "../../../lib/filters";
import { useProblem } from "../../../lib/forms";

type CheckKey = keyof typeof deskZh.check;

export const check = (name: CheckKey) => name;

export function useDeskProblem() {
  const { t, i18n } = useTranslation("desk");
  const ofShop = useProblem();
  return useCallback(
    (problem: { message?: string | undefined } | undefined): string | undefined => {
      const message = problem?.message;
      if (!message || !i18n.exists(`desk:check.${message}`)) return ofShop(problem);
      return t(`check.${message as CheckKey}`);
    },
    [t, i18n, ofShop],
  );
}

/** Whole numbers as they are typed. */
export function whole(min: number, max: number, name: CheckKey) {
  return z.string().check(
    z.trim(),
    z.refine((text) => /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max, check(name)),
  );
}

export const price = z.string().check(
  z.trim(),
  z.refine((text) => isAmount(text) && Number(text) > 0, check("price")),
);

/** Where a picture is: a path of ours or an address. */
export function isPictureAddress(text: string): boolean {
  return text.length <= 255 && /^(\/(?![/\\])|https:\/\/)\S+$/.test(text);
}
