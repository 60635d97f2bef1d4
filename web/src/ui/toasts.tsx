/** Short news at the edge of the page; read out politely, gone by themselves. */
import { useEffect, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Icon } from "./Icon";

interface Toast {
  id: number;
  text: string;
  action?: { label: string; to?: string; onClick?: () => void };
}

const LIFE_MS = 6_000;
const SHOWN_MAX = 3;

let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function change(next: readonly Toast[]): void {
  toasts = next;
  listeners.forEach((listener) => listener());
}

export function toast(text: string, action?: Toast["action"]): void {
  const others = toasts.filter((shown) => shown.text !== text);
  change([...others, { id: nextId++, text, ...(action && { action }) }].slice(-SHOWN_MAX));
}

function dismiss(id: number): void {
  change(toasts.filter((shown) => shown.id !== id));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((one) => (
        <ToastView key={one.id} toast={one} />
      ))}
    </div>
  );
}

function ToastView({ toast: { id, text, action } }: { toast: Toast }) {
  const { t } = useTranslation();
  useEffect(() => {
    const timer = setTimeout(() => dismiss(id), LIFE_MS);
    return () => clearTimeout(timer);
  }, [id]);
  return (
    <div className="toast">
      <span className="grow">{text}</span>
      {action?.to && (
        <Link to={action.to} onClick={() => dismiss(id)}>
          {action.label}
        </Link>
      )}
      {action?.onClick && (
        <button
          type="button"
          className="button quiet compact"
          onClick={() => {
            action.onClick?.();
            dismiss(id);
          }}
        >
          {action.label}
        </button>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label={t("common.close")}
        onClick={() => dismiss(id)}
      >
        <Icon name="close" size={18} />
      </button>
    </div>
  );
}
