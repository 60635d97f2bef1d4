/** A product's attributes, row by row. */
import { useTranslation } from "react-i18next";
import { Button } from "../../../ui/Basics";
import { Icon } from "../../../ui/Icon";
import { Section } from "../../parts/Parts";
import type { Trait } from "../rules/catalogue";

export function Traits({
  traits,
  problem,
  onChange,
}: {
  traits: readonly Trait[];
  problem: string | undefined;
  onChange: (traits: Trait[]) => void;
}) {
  const { t } = useTranslation("desk");
  const change = (at: number, changes: Partial<Trait>) =>
    onChange(traits.map((trait, index) => (index === at ? { ...trait, ...changes } : trait)));
  return (
    <Section title={t("products.traits")}>
      <div className="stack tight">
        <p className="small muted">{t("products.traitsHint")}</p>
        <ul className="stack tight">
          {traits.map(({ name, value }, index) => (
            <li key={index} className="trait">
              <input
                className="input"
                aria-label={`${t("products.traitName")} ${index + 1}`}
                placeholder={t("products.traitName")}
                value={name}
                maxLength={100}
                onChange={(event) => change(index, { name: event.target.value })}
              />
              <input
                className="input"
                aria-label={`${t("products.traitValue")} ${index + 1}`}
                placeholder={t("products.traitValue")}
                value={value}
                maxLength={2_000}
                onChange={(event) => change(index, { value: event.target.value })}
              />
              <button
                type="button"
                className="icon-button"
                aria-label={t("products.removeTrait", { name: name || index + 1 })}
                onClick={() => onChange(traits.filter((_, at) => at !== index))}
              >
                <Icon name="close" size={18} />
              </button>
            </li>
          ))}
        </ul>
        {problem && (
          <p className="problem small" role="alert">
            {problem}
          </p>
        )}
        <div>
          <Button size="compact" onClick={() => onChange([...traits, { name: "", value: "" }])}>
            {t("products.addTrait")}
          </Button>
        </div>
      </div>
    </Section>
  );
}
