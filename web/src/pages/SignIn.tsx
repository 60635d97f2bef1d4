import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { Link, Navigate, useNavigate, useSearchParams } from "react-router";
import * as z from "zod/mini";
import { api, dataOf } from "../api/client";
import { currentSession, sessionOf, storeSession } from "../api/session";
import { nextPath, rules, useProblem } from "../lib/forms";
import { useSession, useTitle } from "../lib/hooks";
import { Button, ErrorNote } from "../ui/Basics";
import { Field, PasswordField } from "../ui/Field";
import { toast } from "../ui/toasts";

const schema = z.object({ username: rules.required(255), password: rules.required(1024) });

export function SignIn() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [params] = useSearchParams();
  const problem = useProblem();
  useTitle(t("auth.signInTitle"));
  const session = useSession();
  const { register, handleSubmit, formState } = useForm({
    resolver: zodResolver(schema),
    defaultValues: { username: "", password: "" },
  });
  const signIn = useMutation({
    mutationFn: (form: z.infer<typeof schema>) => dataOf(api.POST("/api/user/login", { body: form })),
    onSuccess: ({ user, ...tokens }) => {
      storeSession(sessionOf(tokens, user));
      toast(t("auth.welcome", { name: user.nickname || user.username }));
      return navigate(nextPath(params), { replace: true });
    },
  });
  // Whoever comes here signed in has nothing to do here; the one who just signed in is on his way already.
  if (session && signIn.isIdle) return <Navigate to={nextPath(params)} replace />;
  return (
    <div className="auth">
      <form
        className="card stack"
        noValidate
        onSubmit={(event) => void handleSubmit((form) => signIn.mutate(form))(event)}
      >
        <div className="stack tight">
          <h1>{t("auth.signInTitle")}</h1>
          <p className="muted small">{t("auth.aside")}</p>
        </div>
        {signIn.isError && !currentSession() && <ErrorNote error={signIn.error} />}
        <Field
          label={t("auth.login")}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          problem={problem(formState.errors.username)}
          {...register("username")}
        />
        <PasswordField
          label={t("auth.password")}
          autoComplete="current-password"
          problem={problem(formState.errors.password)}
          {...register("password")}
        />
        <Button type="submit" look="primary" size="big" busy={signIn.isPending}>
          {t("auth.signInTitle")}
        </Button>
        <p className="small">
          {t("auth.noAccount")} <Link to={`/register?${params.toString()}`}>{t("nav.register")}</Link>
        </p>
      </form>
    </div>
  );
}
