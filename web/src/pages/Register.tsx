import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { Link, Navigate, useNavigate, useSearchParams } from "react-router";
import * as z from "zod/mini";
import { api, dataOf } from "../api/client";
import { sessionOf, storeSession } from "../api/session";
import { nextPath, placeProblems, rules, useProblem } from "../lib/forms";
import { useSession, useTitle } from "../lib/hooks";
import { Button, ErrorNote } from "../ui/Basics";
import { Field, PasswordField } from "../ui/Field";
import { toast } from "../ui/toasts";

const schema = z
  .object({ username: rules.username, email: rules.email, password: rules.newPassword, again: z.string() })
  .check(z.refine(({ password, again }) => password === again, { path: ["again"], message: "mismatch" }));

type Form = z.infer<typeof schema>;

export function Register() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [params] = useSearchParams();
  const problem = useProblem();
  useTitle(t("auth.registerTitle"));
  const session = useSession();
  const { register, handleSubmit, setError, formState } = useForm({
    resolver: zodResolver(schema),
    defaultValues: { username: "", email: "", password: "", again: "" },
  });
  const signUp = useMutation({
    mutationFn: ({ username, email, password }: Form) =>
      dataOf(api.POST("/api/user/register", { body: { username, password, ...(email && { email }) } })),
    onSuccess: ({ user, ...tokens }) => {
      storeSession(sessionOf(tokens, user));
      toast(t("auth.welcome", { name: user.username }));
      return navigate(nextPath(params), { replace: true });
    },
    onError: (error) => placeProblems(error, ["username", "email", "password"], setError),
  });
  if (session && signUp.isIdle) return <Navigate to={nextPath(params)} replace />;
  const { errors } = formState;
  return (
    <div className="auth">
      <form
        className="card stack"
        noValidate
        onSubmit={(event) => void handleSubmit((form) => signUp.mutate(form))(event)}
      >
        <h1>{t("auth.registerTitle")}</h1>
        {signUp.isError && <ErrorNote error={signUp.error} />}
        <Field
          label={t("auth.username")}
          hint={t("auth.usernameHint")}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          problem={problem(errors.username)}
          {...register("username")}
        />
        <Field
          label={t("auth.email")}
          isOptional
          type="email"
          autoComplete="email"
          problem={problem(errors.email)}
          {...register("email")}
        />
        <PasswordField
          label={t("auth.password")}
          hint={t("auth.passwordHint")}
          autoComplete="new-password"
          problem={problem(errors.password)}
          {...register("password")}
        />
        <PasswordField
          label={t("auth.again")}
          autoComplete="new-password"
          problem={problem(errors.again)}
          {...register("again")}
        />
        <Button type="submit" look="primary" size="big" busy={signUp.isPending}>
          {t("nav.register")}
        </Button>
        <p className="small">
          {t("auth.haveAccount")} <Link to={`/sign-in?${params.toString()}`}>{t("nav.signIn")}</Link>
        </p>
      </form>
    </div>
  );
}
