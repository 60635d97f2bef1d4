/**
 * Lines over time, drawn by uPlot on a canvas: a new point each second costs one drawing and no layout. What it shows is
 * also said in words above it, with the value under the pointer or the newest one.
 */
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  label: string;
  /** A custom property of the page, e.g. `--good`. */
  color: string;
  values: readonly (number | null)[];
  isDashed?: boolean;
  isFilled?: boolean;
}

interface ChartProps {
  title: string;
  /** Seconds since 1970. */
  times: readonly number[];
  lines: readonly Line[];
  format: (value: number) => string;
  isLogarithmic?: boolean;
  height?: number;
  /** A point a day: what a day is called, beside its values as well. Without it, times of the day. */
  day?: (seconds: number) => string;
}

const DAY_S = 86_400;
/** Marks are whole days apart. */
const DAY_STEPS = [1, 2, 3, 5, 7, 14, 30].map((days) => days * DAY_S);

const darkness = window.matchMedia("(prefers-color-scheme: dark)");

/** Changes with the colours of the page. */
function useScheme(): string {
  return useSyncExternalStore(
    (changed) => {
      const observer = new MutationObserver(changed);
      observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
      darkness.addEventListener("change", changed);
      return () => {
        observer.disconnect();
        darkness.removeEventListener("change", changed);
      };
    },
    () => `${document.documentElement.dataset.theme ?? ""} ${darkness.matches}`,
  );
}

function property(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const FONT = "12px system-ui, sans-serif";
/** The axis is never finer than this, so that an idle shop does not look busy. */
const LEAST_TOP = 4;

export function Chart({ title, times, lines, format, isLogarithmic = false, height = 190, day }: ChartProps) {
  const scheme = useScheme();
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [under, setUnder] = useState<number | null>(null);
  const words = useRef({ format, day });
  useEffect(() => {
    words.current = { format, day };
  });
  const isDaily = day !== undefined;
  const shape = JSON.stringify(
    lines.map(({ label, color, isDashed, isFilled }) => [label, color, isDashed, isFilled]),
  );
  const data = useMemo(
    (): uPlot.AlignedData => [[...times], ...lines.map(({ values }) => [...values])],
    [times, lines],
  );
  const newest = useRef(data);
  useEffect(() => {
    newest.current = data;
    plot.current?.setData(data);
  }, [data]);

  useEffect(() => {
    const place = holder.current;
    if (!place) return;
    const drawn = new uPlot(
      options({
        width: place.clientWidth,
        height,
        lines: JSON.parse(shape) as Shape[],
        isLogarithmic,
        isDaily,
        format: (value) => words.current.format(value),
        moment: (seconds) => words.current.day?.(seconds) ?? clock(seconds),
        onPoint: setUnder,
      }),
      newest.current,
      place,
    );
    plot.current = drawn;
    const observer = new ResizeObserver(() => drawn.setSize({ width: place.clientWidth, height }));
    observer.observe(place);
    return () => {
      observer.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [shape, scheme, height, isLogarithmic, isDaily]);

  const index = under !== null && under < times.length ? under : times.length - 1;
  return (
    <figure className="chart">
      <figcaption className="chart-legend">
        <span className="hidden">{title}</span>
        {day && times[index] !== undefined && <span className="muted number">{day(times[index])}</span>}
        {lines.map(({ label, color, values, isDashed }) => {
          const value = values[index];
          return (
            <span className="chart-key" key={label}>
              <svg width="14" height="8" aria-hidden="true">
                <line
                  x1="1"
                  x2="13"
                  y1="4"
                  y2="4"
                  stroke={`var(${color})`}
                  strokeWidth="2.5"
                  strokeDasharray={isDashed ? "4 3" : undefined}
                />
              </svg>
              {label}
              <b className="number">{typeof value === "number" ? format(value) : "—"}</b>
            </span>
          );
        })}
      </figcaption>
      <div className="chart-canvas" ref={holder} aria-hidden="true" style={{ height }} />
    </figure>
  );
}

type Shape = [label: string, color: string, isDashed: boolean | null, isFilled: boolean | null];

interface Wanted {
  width: number;
  height: number;
  lines: readonly Shape[];
  isLogarithmic: boolean;
  isDaily: boolean;
  format: (value: number) => string;
  moment: (seconds: number) => string;
  onPoint: (index: number | null) => void;
}

function options(wanted: Wanted): uPlot.Options {
  const { width, height, lines, isLogarithmic, isDaily, format, moment, onPoint } = wanted;
  const grid = { stroke: property("--line"), width: 1 };
  const axis = { stroke: property("--ink-2"), grid, ticks: { show: false }, font: FONT };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 }, y: false },
    padding: [10, 24, 0, 0], // half of the last mark's words
    scales: {
      x: { time: true },
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- an ambient enum, of which only the number is there
      y: isLogarithmic
        ? { distr: 3, log: 10, range: (_, low, high) => [floor(low), ceiling(high)] }
        : { range: (_, __, high) => [0, Math.max(LEAST_TOP, (high || 0) * 1.1)] },
    },
    axes: [
      {
        ...axis,
        space: 70,
        size: 26,
        values: (_, marks) => marks.map(moment),
        ...(isDaily && { incrs: DAY_STEPS }),
      },
      {
        ...axis,
        size: 54,
        space: 34,
        // between powers of ten a logarithmic axis has lines without words
        values: (_, marks: readonly (number | null)[]) =>
          marks.map((mark) => (mark === null ? "" : format(mark))),
      },
    ],
    series: [
      {},
      ...lines.map(([label, color, isDashed, isFilled]): uPlot.Series => {
        const stroke = property(color);
        return {
          label,
          stroke,
          width: 2,
          points: { show: false },
          spanGaps: false,
          ...(isDashed && { dash: [5, 4] }),
          ...(isFilled && { fill: `${stroke}26` }),
        };
      }),
    ],
    hooks: { setCursor: [(chart) => onPoint(chart.cursor.idx ?? null)] },
  };
}

/** Powers of ten around what there is, so that the scale does not jump with each point. */
function floor(low: number | null): number {
  return low === null || low <= 0 ? 1 : Math.min(1, 10 ** Math.floor(Math.log10(low)));
}

function ceiling(high: number | null): number {
  return high === null || high <= 0 ? 100 : Math.max(100, 10 ** Math.ceil(Math.log10(high)));
}

function clock(mark: number): string {
  const at = new Date(mark * 1000);
  const two = (part: number) => part.toString().padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
