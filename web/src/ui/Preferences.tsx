/** Language and theme, wherever they can be chosen. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { chooseLang, type Lang } from "../i18n";
import { chooseTheme, currentTheme, type Theme } from "../lib/theme";

export function Preferences() {
  const { t, i18n } = useTranslation();
  const [theme, setTheme] = useState(currentTheme);
  return (
    <>
      <label className="push">
        {t("footer.language")}
        <select value={i18n.language} onChange={(event) => void chooseLang(event.target.value as Lang)}>
          <option value="zh" lang="zh-CN">
            中文
          </option>
          <option value="en" lang="en">
            English
          </option>
        </select>
      </label>
      <label>
        {t("footer.theme")}
        <select
          value={theme}
          onChange={(event) => {
            const chosen = event.target.value as Theme;
            chooseTheme(chosen);
            setTheme(chosen);
          }}
        >
          <option value="system">{t("footer.system")}</option>
          <option value="light">{t("footer.light")}</option>
          <option value="dark">{t("footer.dark")}</option>
        </select>
      </label>
    </>
  );
}
