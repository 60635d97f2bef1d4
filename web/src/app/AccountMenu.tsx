import { useMutation } from "@tanstack/react-query";
import { DropdownMenu } from "radix-ui";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { adminRoutes } from "../admin/routes";
import { api, done } from "../api/client";
import { storeSession, type User } from "../api/session";
import { Icon, type IconName } from "../ui/Icon";
import { toast } from "../ui/toasts";

const ADMINISTRATOR = 2;

export function AccountMenu({ user }: { user: User }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const signOut = useMutation({
    mutationFn: () => done(api.POST("/api/auth/logout", { body: {} })),
    // Without an answer this device forgets the tokens all the same.
    onSettled: () => {
      storeSession(null);
      toast(t("auth.signedOut"));
      return navigate("/");
    },
  });
  const places: { to: string; icon: IconName; label: string }[] = [
    { to: "/orders", icon: "box", label: t("nav.orders") },
    { to: "/account/profile", icon: "person", label: t("account.profile") },
    { to: "/account/addresses", icon: "pin", label: t("account.addresses") },
    { to: "/account/devices", icon: "device", label: t("account.devices") },
  ];
  if (user.role === ADMINISTRATOR && adminRoutes.length > 0) {
    places.push({ to: "/admin", icon: "grid", label: t("nav.console") });
  }
  return (
    // Not modal: a modal one would need styles in the page, which the content security policy forbids.
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className="icon-button" aria-label={t("nav.menu")}>
        <Icon name="person" />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={6}>
          <DropdownMenu.Label className="menu-item muted small">
            {user.nickname || user.username}
          </DropdownMenu.Label>
          {places.map(({ to, icon, label }) => (
            <DropdownMenu.Item key={to} asChild>
              <Link to={to} className="menu-item">
                <Icon name={icon} size={20} />
                {label}
              </Link>
            </DropdownMenu.Item>
          ))}
          <DropdownMenu.Separator asChild>
            <hr />
          </DropdownMenu.Separator>
          <DropdownMenu.Item className="menu-item" onSelect={() => signOut.mutate()}>
            <Icon name="exit" size={20} />
            {t("nav.signOut")}
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
