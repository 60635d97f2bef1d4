/** How a sale stands by the server's clock. */
import { useTranslation } from "react-i18next";
import { clockText, remaining } from "../../../lib/format";
import { Tag, type Tone } from "../../parts/Parts";
import type { Sale } from "../queries";
import { phaseOf, type SalePhase } from "../rules/sales";

const TONES: Record<SalePhase, Tone> = { upcoming: "info", open: "good", ended: "warn", closed: "" };

export function PhaseTag({ sale, now }: { sale: Sale; now: number }) {
  const { t } = useTranslation("desk");
  const phase = phaseOf(sale, now);
  return (
    <span data-testid="sale-phase">
      <Tag tone={TONES[phase]}>{t(`sales.phase.${phase}`)}</Tag>
    </span>
  );
}

/** Until the next moment that matters; nothing once there is none. */
export function SaleClock({ sale, now }: { sale: Sale; now: number }) {
  const { t } = useTranslation("desk");
  const phase = phaseOf(sale, now);
  if (phase !== "upcoming" && phase !== "open") return null;
  const until = Date.parse(phase === "upcoming" ? sale.start_at : sale.end_at);
  return (
    <span className="small muted number nowrap" role="timer" aria-live="off">
      {t(phase === "upcoming" ? "sales.opensIn" : "sales.endsIn")} {clockText(remaining(until, now))}
    </span>
  );
}
