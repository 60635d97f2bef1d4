import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import * as z from "zod/mini";
import { api, done } from "../../api/client";
import { storeSession } from "../../api/session";
import { placeProblems, rules, useProblem } from "../../lib/forms";
import { useSession, useTitle } from "../../lib/hooks";
import { Button, ErrorNote } from "../../ui/Basics";
import { PasswordField } from "../../ui/Field";
import { toast } from "../../ui/toasts";

const schema = z
  .object({ old_password: rules.required(1024), new_password: rules.newPassword, again: z.string() })
  .check(
    z.refine(({ new_password, again }) => new_password === again, { path: ["again"], message: "mismatch" }),
  );

type Form = z.infer<typeof schema>;

export function Password() {
  const { t } = useTranslation();
  useTitle(t("account.password"));
  const problem = useProblem();
  const username = useSession()?.user.username;
  const { register, handleSubmit, setError, formState } = useForm({
    resolver: zodResolver(schema),
    defaultValues: { old_password: "", new_password: "", again: "" },
  });
  const change = useMutation({
    mutationFn: ({ old_password, new_password }: Form) =>
      done(api.POST("/api/auth/change-password", { body: { old_password, new_password } })),
    onSuccess: () => {
      storeSession(null); // the server has ended all sessions, this one too; the page leads to signing in
      toast(t("account.passwordChanged"));
    },
    onError: (error) => placeProblems(error, ["old_password", "new_password"], setError),
  });
  const { errors } = formState;
  return (
    <form
      className="card stack"
      noValidate
      onSubmit={(event) => void handleSubmit((form) => change.mutate(form))(event)}
    >
      <div className="stack tight">
        <h1>{t("account.password")}</h1>
        <p className="muted small">{t("account.passwordNote")}</p>
      </div>
      {/* for password managers */}
      <input type="text" hidden readOnly autoComplete="username" value={username ?? ""} />
      <PasswordField
        label={t("account.oldPassword")}
        autoComplete="current-password"
        problem={problem(errors.old_password)}
        {...register("old_password")}
      />
      <PasswordField
        label={t("account.newPassword")}
        hint={t("auth.passwordHint")}
        autoComplete="new-password"
        problem={problem(errors.new_password)}
        {...register("new_password")}
      />
      <PasswordField
        label={t("auth.again")}
        autoComplete="new-password"
        problem={problem(errors.again)}
        {...register("again")}
      />
      {change.isError && <ErrorNote error={change.error} />}
      <div>
        <Button type="submit" look="primary" busy={change.isPending}>
          {t("account.changePassword")}
        </Button>
      </div>
    </form>
  );
}
