/** Small parts of the console's pages. */
import { useState, type ComponentProps, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { count } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { toast } from "../../ui/toasts";
import { ago, stamp } from "../format";

/** The head of every page of the console: its name, what it is for, and what can be done. */
export function PageHead({ title, lead, children }: { title: string; lead?: string; children?: ReactNode }) {
  useTitle(title);
  return (
    <div className="page-head">
      <div className="stack tight">
        <h1>{title}</h1>
        {lead && <p className="muted small">{lead}</p>}
      </div>
      {children && <div className="row">{children}</div>}
    </div>
  );
}

export function Section({
  title,
  aside,
  children,
  className = "",
}: {
  title: string;
  aside?: ReactNode;
  children: ReactNode;
  className?: string;
}) {
  return (
    <section className={`panel ${className}`}>
      <div className="panel-head">
        <h2>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

export type Tone = "" | "good" | "warn" | "bad" | "info";

export function Tag({ tone = "", children }: { tone?: Tone; children: ReactNode }) {
  return <span className={`tag ${tone}`}>{children}</span>;
}

/** A figure with its name. */
export function Stat({
  label,
  value,
  hint,
  tone = "",
  testid,
}: {
  label: string;
  value: ReactNode;
  hint?: ReactNode;
  tone?: Tone;
  testid?: string;
}) {
  return (
    <div className={`stat ${tone}`} data-testid={testid}>
      <dt>{label}</dt>
      <dd>
        <span className="stat-value number">{value}</span>
        {hint && <span className="small muted">{hint}</span>}
      </dd>
    </div>
  );
}

export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="fact-list">
      {facts
        .filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** A moment: how long ago, and exactly when. */
export function When({ at, exact }: { at: string | number | null | undefined; exact?: boolean }) {
  const { i18n } = useTranslation();
  const [seenAt] = useState(() => Date.now());
  if (at === null || at === undefined || at === "") return <span className="muted">—</span>;
  const ms = typeof at === "number" ? at : Date.parse(at);
  const whole = stamp(ms, i18n.language);
  return (
    <time className="number nowrap" dateTime={new Date(ms).toISOString()} title={whole}>
      {exact ? whole : ago(ms, seenAt, i18n.language)}
    </time>
  );
}

/** How many. */
export function Count({ of }: { of: number }) {
  const { i18n } = useTranslation();
  return <span className="number">{count(of, i18n.language)}</span>;
}

/** A number or name that people copy. */
export function Mono({ text, short }: { text: string; short?: boolean }) {
  const { t } = useTranslation();
  if (!text) return <span className="muted">—</span>;
  const shown = short && text.length > 14 ? `${text.slice(0, 5)}…${text.slice(-6)}` : text;
  return (
    <button
      type="button"
      className="mono copy"
      title={`${text} · ${t("common.copy")}`}
      aria-label={`${t("common.copy")}: ${shown === text ? text : `${shown} (${text})`}`}
      onClick={() => {
        void navigator.clipboard.writeText(text).then(
          () => toast(t("common.copied")),
          () => undefined, // no permission: the text stands there to be marked
        );
      }}
    >
      {shown}
    </button>
  );
}

interface Choice {
  value: string;
  label: string;
}

export function SelectField({
  label,
  options,
  hint,
  ...select
}: { label: string; options: readonly Choice[]; hint?: string } & Omit<
  ComponentProps<"select">,
  "className"
>) {
  return (
    <label className="field select-field">
      <span className="label">{label}</span>
      <select {...select} className="input">
        {options.map(({ value, label: words }) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
      {hint && <span className="hint">{hint}</span>}
    </label>
  );
}

export function CheckField({
  label,
  ...input
}: { label: ReactNode } & Omit<ComponentProps<"input">, "className" | "type">) {
  return (
    <label className="check">
      <input {...input} type="checkbox" />
      <span>{label}</span>
    </label>
  );
}

/** Names the nodes whose part is missing in what is shown. */
export function Silent({ nodes }: { nodes: readonly string[] | undefined }) {
  const { t } = useTranslation("admin");
  if (!nodes?.length) return null;
  return (
    <p className="note warn" role="status">
      {t("silent", { nodes: nodes.join(", ") })}
    </p>
  );
}
