/** A product's pictures in their order; the first one stands in lists. */
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button, Picture } from "../../../ui/Basics";
import { Icon } from "../../../ui/Icon";
import { Section } from "../../parts/Parts";
import { isPictureAddress } from "../parts/problems";
import { PICTURES_MAX, moved } from "../rules/catalogue";
import { Upload } from "./Upload";

export function Pictures({
  pictures,
  onChange,
}: {
  pictures: readonly string[];
  onChange: (pictures: string[]) => void;
}) {
  const { t } = useTranslation("desk");
  const room = PICTURES_MAX - pictures.length;
  const add = (urls: string[]) => onChange([...new Set([...pictures, ...urls])].slice(0, PICTURES_MAX));
  return (
    <Section title={t("products.pictures")}>
      <div className="stack">
        <p className="small muted">{t("products.picturesHint", { max: PICTURES_MAX })}</p>
        {pictures.length > 0 && (
          <ol className="pictures">
            {pictures.map((src, index) => (
              <li key={src}>
                <Picture src={src} alt={t("products.pictureNumber", { number: index + 1 })} />
                {index === 0 && <span className="tag info">{t("products.mainPicture")}</span>}
                <div className="picture-tools">
                  <Tool
                    icon="left"
                    label={t("products.earlier")}
                    number={index + 1}
                    disabled={index === 0}
                    onClick={() => onChange(moved(pictures, index, index - 1))}
                  />
                  <Tool
                    icon="right"
                    label={t("products.later")}
                    number={index + 1}
                    disabled={index === pictures.length - 1}
                    onClick={() => onChange(moved(pictures, index, index + 1))}
                  />
                  <button
                    type="button"
                    className="icon-button"
                    aria-label={t("products.removePicture", { number: index + 1 })}
                    onClick={() => onChange(pictures.filter((one) => one !== src))}
                  >
                    <Icon name="trash" size={17} />
                  </button>
                </div>
              </li>
            ))}
          </ol>
        )}
        {room > 0 && (
          <>
            <Upload room={room} onAdd={add} />
            <ByAddress onAdd={(src) => add([src])} />
          </>
        )}
      </div>
    </Section>
  );
}

function Tool({
  icon,
  label,
  number,
  disabled,
  onClick,
}: {
  icon: "left" | "right";
  label: string;
  number: number;
  disabled: boolean;
  onClick: () => void;
}) {
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={`${label} (${number})`}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} size={17} />
    </button>
  );
}

function ByAddress({ onAdd }: { onAdd: (src: string) => void }) {
  const { t } = useTranslation("desk");
  const id = useId();
  const [typed, setTyped] = useState("");
  const [isWrong, setWrong] = useState(false);
  const add = () => {
    const src = typed.trim();
    setWrong(!isPictureAddress(src));
    if (!isPictureAddress(src)) return;
    onAdd(src);
    setTyped("");
  };
  return (
    <div className="field">
      <label htmlFor={id}>{t("products.pictureAddress")}</label>
      <div className="with-end">
        <input
          id={id}
          className="input"
          value={typed}
          maxLength={255}
          placeholder="/photos/tea.svg"
          aria-invalid={isWrong}
          aria-describedby={isWrong ? `${id}-problem` : undefined}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault(); // the form around it is not meant
            add();
          }}
        />
        <Button onClick={add}>{t("shared.add")}</Button>
      </div>
      {isWrong && (
        <span className="problem" id={`${id}-problem`} role="alert">
          {t("check.url")}
        </span>
      )}
    </div>
  );
}
