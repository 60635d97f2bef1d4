/** A labelled input with its hint and its problem, tied together for screen readers. */
import { useId, useState, type ComponentProps } from "react";
import { useTranslation } from "react-i18next";
import { Icon } from "./Icon";

interface Words {
  label: string;
  hint?: string | undefined;
  problem?: string | undefined;
  isOptional?: boolean;
}

function useParts({ hint, problem }: Words) {
  const id = useId();
  const hintId = `${id}-hint`;
  const problemId = `${id}-problem`;
  const describedBy = [hint && hintId, problem && problemId].filter(Boolean).join(" ") || undefined;
  return { id, hintId, problemId, describedBy };
}

function Surroundings({
  words,
  parts,
  children,
}: {
  words: Words;
  parts: ReturnType<typeof useParts>;
  children: React.ReactNode;
}) {
  const { t } = useTranslation();
  return (
    <div className="field">
      <label htmlFor={parts.id}>
        {words.label} {words.isOptional && <span className="optional">({t("common.optional")})</span>}
      </label>
      {children}
      {words.hint && (
        <span className="hint" id={parts.hintId}>
          {words.hint}
        </span>
      )}
      {words.problem && (
        <span className="problem" id={parts.problemId} role="alert">
          {words.problem}
        </span>
      )}
    </div>
  );
}

export function Field({
  label,
  hint,
  problem,
  isOptional = false,
  ...input
}: Words & Omit<ComponentProps<"input">, "className">) {
  const words = { label, hint, problem, isOptional };
  const parts = useParts(words);
  return (
    <Surroundings words={words} parts={parts}>
      <input
        {...input}
        id={parts.id}
        className="input"
        aria-invalid={Boolean(problem)}
        aria-describedby={parts.describedBy}
      />
    </Surroundings>
  );
}

export function PasswordField({
  label,
  hint,
  problem,
  ...input
}: Words & Omit<ComponentProps<"input">, "className" | "type">) {
  const { t } = useTranslation();
  const words = { label, hint, problem };
  const parts = useParts(words);
  const [isShown, setShown] = useState(false);
  return (
    <Surroundings words={words} parts={parts}>
      <div className="with-button">
        <input
          {...input}
          type={isShown ? "text" : "password"}
          id={parts.id}
          className="input"
          aria-invalid={Boolean(problem)}
          aria-describedby={parts.describedBy}
        />
        <button
          type="button"
          className="icon-button"
          aria-label={isShown ? t("auth.hide") : t("auth.show")}
          onClick={() => setShown(!isShown)}
        >
          <Icon name={isShown ? "eyeOff" : "eye"} size={20} />
        </button>
      </div>
    </Surroundings>
  );
}

export function TextArea({
  label,
  hint,
  problem,
  isOptional = false,
  ...input
}: Words & Omit<ComponentProps<"textarea">, "className">) {
  const words = { label, hint, problem, isOptional };
  const parts = useParts(words);
  return (
    <Surroundings words={words} parts={parts}>
      <textarea
        {...input}
        id={parts.id}
        className="input"
        aria-invalid={Boolean(problem)}
        aria-describedby={parts.describedBy}
      />
    </Surroundings>
  );
}
