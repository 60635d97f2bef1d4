/**
 * A question before something is done, with a reason where one is needed, and afterwards what came of it. One wish has one
 * Idempotency-Key until there is a definite answer, however often it is sent.
 */
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { formText } from "../../lib/formText";
import { useOnce } from "../../lib/useOnce";
import { Button, ErrorNote, Note } from "../../ui/Basics";
import { Dialog } from "../../ui/Dialog";
import { TextArea } from "../../ui/Field";
import { NodeResults, isNodeList } from "./NodeResults";

const REASON_MAX = 200;

export interface Wish {
  reason: string;
  /** The fields of `children`, as they were filled in. */
  form: FormData;
}

interface Props<Data> {
  title: string;
  hint?: ReactNode;
  /** The button's words. */
  yes: string;
  isGrave?: boolean;
  reason?: "required" | "optional";
  /** Fields of this command. */
  children?: ReactNode;
  /** What is wrong with the fields, before anything is sent. */
  check?: (wish: Wish) => string | undefined;
  send: (key: string, wish: Wish) => Promise<Data>;
  onDone?: (data: Data) => unknown;
  /** What to show when it is done; without it the dialog closes. Lists of nodes are shown by themselves. */
  outcome?: (data: Data) => ReactNode;
  onClose: () => void;
}

export function CommandDialog<Data>(props: Props<Data>) {
  const { title, hint, yes, isGrave, reason, children, check, send, onDone, outcome, onClose } = props;
  const { t } = useTranslation("admin");
  const [problem, setProblem] = useState<string>();
  const [missing, setMissing] = useState(false);
  const command = useOnce<Data, Wish>({
    sameness: (wish) => JSON.stringify([wish.reason, ...wish.form.entries()]),
    mutationFn: send,
    onSuccess: async (data) => {
      await onDone?.(data);
      if (!outcome && !isNodeList(data)) onClose();
    },
  });
  const submit = (form: FormData) => {
    const wish = { reason: formText(form, "reason"), form };
    const isMissing = reason === "required" && wish.reason === "";
    const wrong = check?.(wish);
    setMissing(isMissing);
    setProblem(wrong);
    if (!isMissing && !wrong) command.mutate(wish);
  };
  if (command.isSuccess && (outcome || isNodeList(command.data))) {
    return (
      <Dialog title={title} onClose={onClose}>
        {outcome
          ? outcome(command.data)
          : isNodeList(command.data) && <NodeResults results={command.data} says />}
        <div className="dialog-actions">
          <Button look="primary" onClick={onClose}>
            {t("command.close")}
          </Button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          submit(new FormData(event.currentTarget));
        }}
      >
        {hint && <div className="muted">{hint}</div>}
        {children}
        {reason && (
          <TextArea
            label={t("command.reason")}
            name="reason"
            isOptional={reason === "optional"}
            maxLength={REASON_MAX}
            hint={t("command.reasonHint")}
            problem={missing ? t("command.reasonMissing") : undefined}
          />
        )}
        {problem && <Note tone="bad">{problem}</Note>}
        {command.isError && <ErrorNote error={command.error} />}
        <div className="dialog-actions">
          <Button onClick={onClose}>{t("command.cancel")}</Button>
          <Button type="submit" look={isGrave ? "danger" : "primary"} busy={command.isPending}>
            {yes}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
