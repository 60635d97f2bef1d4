/** A question over the page: the browser's own modal dialog keeps focus, Escape and the rest of the page right. */
import { useEffect, useId, useRef, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "./Basics";

export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <div className="dialog-body">
        <h2 id={titleId}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

export function Question({
  title,
  hint,
  yes,
  no,
  isGrave,
  busy,
  problem,
  onYes,
  onClose,
}: {
  title: string;
  hint?: string;
  yes: string;
  no?: string;
  isGrave?: boolean;
  busy?: boolean;
  problem?: ReactNode;
  onYes: () => void;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  return (
    <Dialog title={title} onClose={onClose}>
      {hint && <p className="muted">{hint}</p>}
      {problem}
      <div className="dialog-actions">
        <Button onClick={onClose}>{no ?? t("common.cancel")}</Button>
        <Button look={isGrave ? "danger" : "primary"} busy={busy ?? false} onClick={onYes}>
          {yes}
        </Button>
      </div>
    </Dialog>
  );
}
