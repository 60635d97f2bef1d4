/** What forms share: rules whose messages are keys of our texts, and the server's field problems put where they belong. */
import { useCallback } from "react";
import type { FieldValues, Path, UseFormSetError } from "react-hook-form";
import { useTranslation } from "react-i18next";
import * as z from "zod/mini";
import { ApiError } from "../api/error";
import type { zh } from "../i18n/zh";

type CheckKey = keyof typeof zh.check;

const key = (name: CheckKey) => name;
const bytes = (text: string) => new TextEncoder().encode(text).length;
const MOBILE = /^1[3-9]\d{9}$/;

export const rules = {
  required: (max: number) =>
    z.string().check(z.trim(), z.minLength(1, key("required")), z.maxLength(max, key("tooLong"))),
  optional: (max: number) => z.string().check(z.trim(), z.maxLength(max, key("tooLong"))),
  username: z.string().check(z.trim(), z.regex(/^[\p{L}\p{N}_.-]{3,50}$/u, key("username"))),
  newPassword: z.string().check(
    z.minLength(6, key("passwordShort")),
    z.refine((text) => bytes(text) <= 72, key("passwordLong")),
  ),
  email: z.string().check(
    z.trim(),
    z.refine((text) => text === "" || /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text), key("email")),
  ),
  mobile: z.string().check(
    z.trim(),
    z.refine((text) => text === "" || MOBILE.test(text), key("mobile")),
  ),
  phone: z.string().check(z.trim(), z.regex(/^[\d+\- ]{5,20}$/, key("phone"))),
};

/** The words of a problem: one of ours, or what the server said. */
export function useProblem() {
  const { t, i18n } = useTranslation();
  return useCallback(
    (problem: { message?: string | undefined } | undefined): string | undefined => {
      const message = problem?.message;
      if (!message) return undefined;
      return i18n.exists(`check.${message}`) ? t(`check.${message as CheckKey}`) : message;
    },
    [t, i18n],
  );
}

/** True if every problem that the server named belongs to a field of the form, and stands there now. */
export function placeProblems<T extends FieldValues>(
  error: unknown,
  fields: readonly Path<T>[],
  setError: UseFormSetError<T>,
): boolean {
  const problems = error instanceof ApiError ? (error.details.errors ?? []) : [];
  const placed = problems.filter(({ field, message }) => {
    const name = fields.find((known) => known === field);
    if (name) setError(name, { message }, { shouldFocus: true });
    return name !== undefined;
  });
  return problems.length > 0 && placed.length === problems.length;
}

/** Where to go after signing in: a path of ours, whatever the address says. */
export function nextPath(params: URLSearchParams): string {
  const next = params.get("next") ?? "/";
  return /^\/(?![/\\])/.test(next) ? next : "/";
}
