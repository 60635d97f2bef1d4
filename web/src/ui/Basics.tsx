/** Small parts that every page uses. */
import { useState, type ComponentProps, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { ApiError } from "../api/error";
import { money } from "../lib/format";
import { Icon, type IconName } from "./Icon";

type Look = "primary" | "danger" | "quiet" | "ghost";
type Size = "big" | "compact";

function classes(look?: Look, size?: Size, isWide?: boolean): string {
  return ["button", look, size, isWide && "wide"].filter(Boolean).join(" ");
}

interface Looks {
  look?: Look;
  size?: Size;
  wide?: boolean;
}

export function Button({
  look,
  size,
  wide,
  busy,
  children,
  ...rest
}: Looks & { busy?: boolean } & Omit<ComponentProps<"button">, "className">) {
  return (
    <button
      type="button"
      {...rest}
      className={classes(look, size, wide)}
      aria-busy={busy}
      disabled={busy === true || rest.disabled === true}
    >
      {busy && <span className="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}

export function ButtonLink({
  look,
  size,
  wide,
  ...rest
}: Looks & Omit<ComponentProps<typeof Link>, "className">) {
  return <Link {...rest} className={classes(look, size, wide)} />;
}

export function Price({ amount, large, plain }: { amount: number; large?: boolean; plain?: boolean }) {
  return (
    <span className={["price", large && "large", plain && "plain"].filter(Boolean).join(" ")}>
      {money(amount)}
    </span>
  );
}

/** A product's picture; decorative, because its name stands beside it. */
export function Picture({
  src,
  alt = "",
  className = "",
  eager,
}: {
  src: string;
  alt?: string;
  className?: string;
  eager?: boolean;
}) {
  const [broken, setBroken] = useState("");
  if (!src || broken === src) {
    return (
      <span className={`picture blank ${className}`}>
        <Icon name="image" size={32} />
      </span>
    );
  }
  return (
    <img
      className={`picture ${className}`}
      src={src}
      alt={alt}
      width={400}
      height={400}
      loading={eager ? "eager" : "lazy"}
      decoding="async"
      onError={() => setBroken(src)}
    />
  );
}

export function Note({ tone, children }: { tone: "info" | "good" | "warn" | "bad"; children: ReactNode }) {
  return (
    <div className={`note ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name={tone === "good" ? "check" : "warn"} size={20} />
      <div className="grow">{children}</div>
    </div>
  );
}

/** An error in the server's words; with a way on if the page has one. */
export function ErrorNote({ error, onRetry }: { error: unknown; onRetry?: () => unknown }) {
  const { t } = useTranslation();
  const isKnown = error instanceof ApiError;
  return (
    <Note tone="bad">
      <p>{isKnown ? error.message : t("state.unreachable")}</p>
      {isKnown && error.status >= 500 && (
        <p className="small">
          {t("state.trace")} {error.traceId}
        </p>
      )}
      {onRetry && (
        <Button look="quiet" size="compact" onClick={() => void onRetry()}>
          {t("common.retry")}
        </Button>
      )}
    </Note>
  );
}

export function Empty({
  icon,
  title,
  hint,
  children,
}: {
  icon: IconName;
  title: string;
  hint?: string;
  children?: ReactNode;
}) {
  return (
    <div className="empty">
      <Icon name={icon} size={52} />
      <h2>{title}</h2>
      {hint && <p>{hint}</p>}
      {children}
    </div>
  );
}

/** Grey shapes where content will be. */
export function Loading({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <div role="status" aria-busy="true">
      <span className="hidden">{t("common.loading")}</span>
      <div aria-hidden="true">{children}</div>
    </div>
  );
}

export function LoadingBlocks({ count = 3 }: { count?: number }) {
  return (
    <Loading>
      <div className="stack">
        {Array.from({ length: count }, (_, index) => (
          <span key={index} className="bone block" />
        ))}
      </div>
    </Loading>
  );
}

export function Stepper({
  value,
  max,
  name,
  onChange,
}: {
  value: number;
  max: number;
  name: string;
  onChange: (value: number) => void;
}) {
  const { t } = useTranslation();
  return (
    <div className="stepper" role="group" aria-label={`${t("common.quantity")}: ${name}`}>
      <button
        type="button"
        aria-label={t("common.decrease")}
        disabled={value <= 1}
        onClick={() => onChange(value - 1)}
      >
        −
      </button>
      <output>{value}</output>
      <button
        type="button"
        aria-label={t("common.increase")}
        disabled={value >= max}
        onClick={() => onChange(value + 1)}
      >
        +
      </button>
    </div>
  );
}
