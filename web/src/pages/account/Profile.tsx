import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import * as z from "zod/mini";
import { api, dataOf, done } from "../../api/client";
import { profile as profileQuery } from "../../api/queries";
import { currentSession, storeSession, type User } from "../../api/session";
import { dateTime } from "../../lib/format";
import { placeProblems, rules, useProblem } from "../../lib/forms";
import { useTitle } from "../../lib/hooks";
import { Button, ErrorNote, LoadingBlocks } from "../../ui/Basics";
import { Field } from "../../ui/Field";
import { toast } from "../../ui/toasts";

const schema = z.object({ nickname: rules.optional(50), email: rules.email, phone: rules.mobile });

export function Profile() {
  const { t } = useTranslation();
  useTitle(t("account.profile"));
  const found = useQuery(profileQuery);
  if (found.isPending) return <LoadingBlocks count={1} />;
  if (!found.data) return <ErrorNote error={found.error} onRetry={found.refetch} />;
  return <Form user={found.data} />;
}

function Form({ user }: { user: User }) {
  const { t, i18n } = useTranslation();
  const problem = useProblem();
  const client = useQueryClient();
  const { nickname, email, phone } = user;
  const { register, handleSubmit, setError, formState } = useForm({
    resolver: zodResolver(schema),
    values: { nickname, email, phone },
  });
  const save = useMutation({
    mutationFn: (form: z.infer<typeof schema>) => dataOf(api.PUT("/api/user/profile", { body: form })),
    onSuccess: (saved) => {
      client.setQueryData(profileQuery.queryKey, saved);
      const session = currentSession();
      if (session) storeSession({ ...session, user: saved });
      toast(t("common.saved"));
    },
    onError: (error) => placeProblems(error, ["nickname", "email", "phone"], setError),
  });
  const { errors } = formState;
  return (
    <div className="stack loose">
      <form
        className="card stack"
        noValidate
        onSubmit={(event) => void handleSubmit((form) => save.mutate(form))(event)}
      >
        <div className="stack tight">
          <h1>{t("account.profile")}</h1>
          <p className="muted small">
            {user.username} · {t("account.since", { date: dateTime(user.created_at, i18n.language) })}
          </p>
        </div>
        <Field
          label={t("account.nickname")}
          isOptional
          problem={problem(errors.nickname)}
          {...register("nickname")}
        />
        <Field
          label={t("auth.email")}
          isOptional
          type="email"
          autoComplete="email"
          problem={problem(errors.email)}
          {...register("email")}
        />
        <Field
          label={t("account.phone")}
          isOptional
          type="tel"
          autoComplete="tel-national"
          problem={problem(errors.phone)}
          {...register("phone")}
        />
        {save.isError && <ErrorNote error={save.error} />}
        <div>
          <Button type="submit" look="primary" busy={save.isPending} disabled={!formState.isDirty}>
            {t("common.save")}
          </Button>
        </div>
      </form>
      <SignOut />
    </div>
  );
}

/** The menu of wide screens has this as well; phones find it here. */
function SignOut() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const signOut = useMutation({
    mutationFn: () => done(api.POST("/api/auth/logout", { body: {} })),
    onSettled: () => {
      storeSession(null);
      toast(t("auth.signedOut"));
      return navigate("/");
    },
  });
  return (
    <Button busy={signOut.isPending} onClick={() => signOut.mutate()}>
      {t("nav.signOut")}
    </Button>
  );
}
