/** What surrounds every page: navigation, search, cart, the state of the connection, language and theme. */
import { useQuery } from "@tanstack/react-query";
import { Suspense, lazy, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, NavLink, Outlet, ScrollRestoration, useLocation } from "react-router";
import { cart } from "../api/queries";
import { useOnline, useSession } from "../lib/hooks";
import { useFeedState } from "../live/LiveOrders";
import { ButtonLink } from "../ui/Basics";
import { Icon, type IconName } from "../ui/Icon";
import { Preferences } from "../ui/Preferences";
import { SearchBox } from "../ui/SearchBox";
import { Toasts } from "../ui/toasts";

const AccountMenu = lazy(async () => ({ default: (await import("./AccountMenu")).AccountMenu }));

export function Layout() {
  const { t } = useTranslation();
  return (
    <div className="frame">
      <a className="skip" href="#content">
        {t("nav.skip")}
      </a>
      <Header />
      <PageBody />
      <Footer />
      <BottomNav />
      <Toasts />
      <ScrollRestoration getKey={({ pathname }) => pathname} />
    </div>
  );
}

function PageBody() {
  const { pathname } = useLocation();
  const main = useRef<HTMLElement>(null);
  const before = useRef(pathname);
  // A new page is where the reader is now; filters and pages of a list are not.
  useEffect(() => {
    if (before.current !== pathname) main.current?.focus({ preventScroll: true });
    before.current = pathname;
  }, [pathname]);
  return (
    <main id="content" className="main" tabIndex={-1} ref={main}>
      <div className="inner">
        <Outlet />
      </div>
    </main>
  );
}

function useCartCount(): number {
  const session = useSession();
  return useQuery(cart(session?.user.id ?? null)).data?.total_count ?? 0;
}

function CartIcon({ count }: { count: number }) {
  return (
    <span className="badge-holder">
      <Icon name="cart" />
      {count > 0 && (
        <span className="badge" aria-hidden="true">
          {count > 99 ? "99+" : count}
        </span>
      )}
    </span>
  );
}

function Header() {
  const { t } = useTranslation();
  const session = useSession();
  const count = useCartCount();
  return (
    <header className="header">
      <ConnectionBanner />
      <div className="inner">
        <Link to="/" className="brand">
          <img src="/favicon.svg" alt="" width={30} height={30} />
          RushMall
        </Link>
        <nav className="top-nav" aria-label={t("nav.main")}>
          <NavLink to="/flash">{t("nav.flash")}</NavLink>
          <NavLink to="/products">{t("nav.products")}</NavLink>
          {session && <NavLink to="/orders">{t("nav.orders")}</NavLink>}
        </nav>
        <SearchBox />
        <div className="header-end">
          <Link to="/products" className="icon-button search-link" aria-label={t("list.search")}>
            <Icon name="search" />
          </Link>
          <Link to="/cart" className="icon-button cart-link" aria-label={t("nav.cartCount", { count })}>
            <CartIcon count={count} />
          </Link>
          {session ? (
            <Suspense fallback={<span className="icon-button" />}>
              <AccountMenu user={session.user} />
            </Suspense>
          ) : (
            <ButtonLink to="/sign-in" size="compact">
              {t("nav.signIn")}
            </ButtonLink>
          )}
        </div>
      </div>
    </header>
  );
}

function BottomNav() {
  const { t } = useTranslation();
  const count = useCartCount();
  const places: { to: string; icon: IconName; label: string }[] = [
    { to: "/", icon: "home", label: t("nav.home") },
    { to: "/flash", icon: "bolt", label: t("nav.flash") },
    { to: "/cart", icon: "cart", label: t("nav.cart") },
    { to: "/orders", icon: "box", label: t("nav.orders") },
    { to: "/account", icon: "person", label: t("nav.me") },
  ];
  return (
    <nav className="bottom-nav" aria-label={t("nav.menu")}>
      {places.map(({ to, icon, label }) => (
        <NavLink key={to} to={to} end={to === "/"}>
          {icon === "cart" ? <CartIcon count={count} /> : <Icon name={icon} />}
          {label}
        </NavLink>
      ))}
    </nav>
  );
}

/** Pushes that are away for a moment are nobody's business. */
const SAY_AFTER_MS = 4_000;

function ConnectionBanner() {
  const { t } = useTranslation();
  const isOnline = useOnline();
  const isWaiting = useFeedState() === "waiting";
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    if (!isWaiting) return;
    const timer = setTimeout(() => setLong(true), SAY_AFTER_MS);
    return () => {
      clearTimeout(timer);
      setLong(false);
    };
  }, [isWaiting]);
  const words = !isOnline ? t("state.offline") : isWaiting && isLong ? t("state.waiting") : "";
  return (
    <div role="status" className={words ? "banner" : "hidden"}>
      {words}
    </div>
  );
}

function Footer() {
  const { t } = useTranslation();
  return (
    <footer className="footer">
      <div className="inner">
        <span>{t("footer.line")}</span>
        <Preferences />
        <a href="/swagger/">{t("footer.api")}</a>
      </div>
    </footer>
  );
}
