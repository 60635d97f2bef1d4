/** Countdown and stock bar. */
import { useTranslation } from "react-i18next";
import { remaining, twoDigits } from "../lib/format";

export function Countdown({ until, now, label }: { until: string; now: number; label: string }) {
  const { t } = useTranslation();
  const { days, hours, minutes, seconds } = remaining(Date.parse(until), now);
  // Not a live region: a clock that is read out every second helps nobody.
  return (
    <span className="row">
      <span className="muted small">{label}</span>
      <span className="countdown" role="timer" aria-live="off">
        {days > 0 && (
          <>
            <b>{days}</b>
            <i>{t("flash.day")}</i>
          </>
        )}
        <b>{twoDigits(hours)}</b>
        <i>:</i>
        <b>{twoDigits(minutes)}</b>
        <i>:</i>
        <b>{twoDigits(seconds)}</b>
      </span>
    </span>
  );
}

export function StockBar({ left, total }: { left: number; total: number }) {
  const { t } = useTranslation();
  const gone = total > 0 ? Math.min(1, Math.max(0, 1 - left / total)) : 1;
  // 99.6 % is not "all gone".
  const percent = Math.floor(gone * 100);
  return (
    <div className="stock">
      <div
        className="stock-track"
        role="meter"
        aria-label={t("flash.soldPercent", { percent })}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={total - left}
      >
        <div className="stock-fill" style={{ transform: `scaleX(${gone.toFixed(4)})` }} />
      </div>
      <div className="stock-words">
        <span>
          <strong className="number" data-testid="stock-left">
            {t("flash.left", { count: left })}
          </strong>{" "}
          {t("flash.ofTotal", { total })}
        </span>
        <span className="number">{t("flash.soldPercent", { percent })}</span>
      </div>
    </div>
  );
}
