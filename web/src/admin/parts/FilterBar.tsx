/** The filters above a table. Each change asks the server anew; what is typed, a moment after the last key. */
import { useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLocation, useNavigation } from "react-router";
import { Button } from "../../ui/Basics";
import type { TableState } from "./useTableState";

interface Option {
  value: string;
  label: string;
}

export type FilterField<Name extends string> = {
  name: Name;
  label: string;
} & (
  | { kind: "text"; hint?: string; inputMode?: "numeric" }
  /** `none` says what holds without a choice; "all" if absent. */
  | { kind: "choice"; options: readonly Option[]; none?: string }
  | { kind: "day" }
  | { kind: "flag" }
);

/** After the last key. */
const TYPED_MS = 350;

export function FilterBar<Name extends string>({
  table,
  fields,
  children,
}: {
  table: TableState<Name>;
  fields: readonly FilterField<Name>[];
  children?: React.ReactNode;
}) {
  const { t } = useTranslation("admin");
  const change = (name: Name, value: string) =>
    table.change({ [name]: value || null } as Partial<Record<Name | "sort", string | null>>);
  return (
    <div className="filter-bar" role="search" aria-label={t("table.filters")}>
      {fields.map((field) => (
        <FilterInput
          key={field.name}
          field={field}
          value={table.filters[field.name] ?? ""}
          onChange={(value) => change(field.name, value)}
        />
      ))}
      {Object.keys(table.filters).length > 0 && (
        <Button look="quiet" size="compact" onClick={table.clear}>
          {t("table.clear")}
        </Button>
      )}
      {children && <div className="filter-end">{children}</div>}
    </div>
  );
}

function FilterInput<Name extends string>({
  field,
  value,
  onChange,
}: {
  field: FilterField<Name>;
  value: string;
  onChange: (value: string) => void;
}) {
  const { t } = useTranslation("admin");
  const id = useId();
  if (field.kind === "flag") {
    return (
      <label className="check">
        <input
          type="checkbox"
          checked={value === "true"}
          onChange={(event) => onChange(event.target.checked ? "true" : "")}
        />
        {field.label}
      </label>
    );
  }
  return (
    <div className="filter">
      <label htmlFor={id}>{field.label}</label>
      {field.kind === "text" && <TypedFilter id={id} field={field} value={value} onChange={onChange} />}
      {field.kind === "day" && (
        <input
          id={id}
          type="date"
          className="input"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
      {field.kind === "choice" && (
        <select id={id} className="input" value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="">{field.none ?? t("table.all")}</option>
          {field.options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

function TypedFilter({
  id,
  field,
  value,
  onChange,
}: {
  id: string;
  field: { hint?: string; inputMode?: "numeric" };
  value: string;
  onChange: (value: string) => void;
}) {
  const [typed, setTyped] = useState(value);
  const [known, setKnown] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const { pathname } = useLocation();
  const { location: destination } = useNavigation();
  const isLeaving = destination !== undefined && destination.pathname !== pathname;
  // Cleared, or changed by the back button: the field says what holds.
  if (known !== value) {
    setKnown(value);
    setTyped(value);
  }
  useEffect(() => () => clearTimeout(timer.current), []);
  // Who is on the way to another page is not called back by what was typed before.
  useEffect(() => {
    if (isLeaving) clearTimeout(timer.current);
  }, [isLeaving]);
  return (
    <input
      id={id}
      type="search"
      className="input"
      value={typed}
      placeholder={field.hint}
      inputMode={field.inputMode}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => {
        const next = event.target.value;
        setTyped(next);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => onChange(next.trim()), TYPED_MS);
      }}
      onKeyDown={(event) => {
        if (event.key !== "Enter") return;
        clearTimeout(timer.current);
        onChange(typed.trim());
      }}
    />
  );
}
