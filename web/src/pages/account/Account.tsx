import { useTranslation } from "react-i18next";
import { NavLink, Outlet } from "react-router";
import { Tabs } from "../../ui/Tabs";

export function Account() {
  const { t } = useTranslation();
  const sections: [string, string][] = [
    ["profile", t("account.profile")],
    ["addresses", t("account.addresses")],
    ["password", t("account.password")],
    ["devices", t("account.devices")],
  ];
  return (
    <div className="account">
      <Tabs label={t("account.section")}>
        {sections.map(([path, label]) => (
          <NavLink key={path} to={path}>
            {label}
          </NavLink>
        ))}
      </Tabs>
      <Outlet />
    </div>
  );
}
