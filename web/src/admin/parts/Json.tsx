/** What the server tells and no page has words for: shown as it is, folded where it is deep. */

type Value = string | number | boolean | null | undefined | readonly unknown[] | object;

/** Deeper than this it is text. */
const DEPTH_MAX = 4;

export function Json({ value, depth = 0 }: { value: unknown; depth?: number }) {
  const known = value as Value;
  if (known === null || known === undefined) return <span className="muted">—</span>;
  if (typeof known !== "object") return <span className="mono">{String(known)}</span>;
  const entries = Array.isArray(known)
    ? known.map((one: unknown, index): [string, unknown] => [String(index + 1), one])
    : Object.entries(known as Record<string, unknown>);
  if (entries.length === 0) return <span className="muted">—</span>;
  if (depth >= DEPTH_MAX) return <span className="mono">{JSON.stringify(known)}</span>;
  return (
    <dl className="json">
      {entries.map(([name, one]) => (
        <div key={name} className={isDeep(one) ? "deep" : ""}>
          <dt className="mono">{name}</dt>
          <dd>
            <Json value={one} depth={depth + 1} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function isDeep(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}
