/**
 * The console's frame: for administrators only, with its own navigation and its own socket. On wide screens the sections
 * stand at the side, on phones behind a button.
 */
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, Navigate, NavLink, Outlet, ScrollRestoration, useLocation } from "react-router";
import { useOnline, useSession, useTitle } from "../lib/hooks";
import { ButtonLink, Empty } from "../ui/Basics";
import { Icon } from "../ui/Icon";
import { Preferences } from "../ui/Preferences";
import { Toasts } from "../ui/toasts";
import { History } from "./dashboard/history";
import { HistoryContext } from "./dashboard/useHistory";
import { AdminFeed } from "./live/feed";
import { FeedContext, useAdminFeedState, useTopic } from "./live/useFeed";
import { AdminIcon } from "./parts/AdminIcon";
import { sections } from "./sections";
import "../styles/admin.css";
import "../styles/admin-pages.css";

const ADMINISTRATOR = 2;

export function Console() {
  const session = useSession();
  const { pathname, search } = useLocation();
  if (!session) return <Navigate to={`/sign-in?next=${encodeURIComponent(pathname + search)}`} replace />;
  if (session.user.role !== ADMINISTRATOR) return <Refused />;
  return <Connected key={session.user.id} />;
}

function Refused() {
  const { t } = useTranslation("admin");
  useTitle(t("refused.title"));
  return (
    <main className="inner main">
      <Empty icon="key" title={t("refused.title")} hint={t("refused.hint")}>
        <ButtonLink to="/" look="primary">
          {t("refused.home")}
        </ButtonLink>
      </Empty>
    </main>
  );
}

function Connected() {
  const [feed] = useState(() => new AdminFeed());
  const [history] = useState(() => new History());
  useEffect(() => {
    feed.start();
    return () => feed.stop();
  }, [feed]);
  return (
    <FeedContext value={feed}>
      <HistoryContext value={history}>
        <Frame />
      </HistoryContext>
    </FeedContext>
  );
}

function Frame() {
  const { t } = useTranslation("admin");
  const state = useAdminFeedState();
  const { pathname } = useLocation();
  const [openAt, setOpenAt] = useState<string | null>(null);
  const main = useRef<HTMLElement>(null);
  const before = useRef(pathname);
  useEffect(() => {
    if (before.current !== pathname) main.current?.focus({ preventScroll: true });
    before.current = pathname;
  }, [pathname]);
  if (state === "refused") return <Refused />;
  // A step to another page closes the drawer by itself.
  const isOpen = openAt === pathname;
  return (
    <div className="console">
      <a className="skip" href="#content">
        {t("nav.skip")}
      </a>
      <header className="console-bar">
        <button
          type="button"
          className="icon-button nav-toggle"
          aria-label={t("nav.menu")}
          aria-expanded={isOpen}
          aria-controls="console-nav"
          onClick={() => setOpenAt(isOpen ? null : pathname)}
        >
          {isOpen ? <Icon name="close" /> : <AdminIcon name="menu" size={22} />}
        </button>
        <Link to="/admin" className="brand">
          <img src="/favicon.svg" alt="" width={28} height={28} />
          <span>{t("nav.title")}</span>
        </Link>
        <div className="console-bar-end">
          <LiveMark />
          <Link to="/" className="icon-button" aria-label={t("nav.shop")} title={t("nav.shop")}>
            <Icon name="home" />
          </Link>
        </div>
      </header>
      <Sidebar isOpen={isOpen} />
      <main id="content" className="console-main" tabIndex={-1} ref={main}>
        <Outlet />
      </main>
      <Toasts />
      <ScrollRestoration getKey={({ pathname: path }) => path} />
    </div>
  );
}

function Sidebar({ isOpen }: { isOpen: boolean }) {
  const { t } = useTranslation("admin");
  const session = useSession();
  const alerts = useTopic("alerts")?.open.length ?? 0;
  return (
    <nav
      id="console-nav"
      className={isOpen ? "console-nav open" : "console-nav"}
      aria-label={t("nav.sections")}
    >
      {sections().map(({ group, places }) => (
        <div className="nav-group" key={group}>
          <p className="nav-title" id={`nav-${group}`}>
            {t(`nav.group.${group}`)}
          </p>
          <ul aria-labelledby={`nav-${group}`}>
            {places.map(({ name, path, icon }) => (
              <li key={name}>
                <NavLink to={`/admin${path && `/${path}`}`} end={path === ""}>
                  <AdminIcon name={icon} />
                  {t(`nav.${name}`)}
                  {name === "alerts" && alerts > 0 && (
                    <span className="nav-count" aria-label={t("nav.alertCount", { count: alerts })}>
                      {alerts > 99 ? "99+" : alerts}
                    </span>
                  )}
                </NavLink>
              </li>
            ))}
          </ul>
        </div>
      ))}
      <div className="nav-foot">
        <p className="small muted">{session && (session.user.nickname || session.user.username)}</p>
        <Preferences />
      </div>
    </nav>
  );
}

function LiveMark() {
  const { t } = useTranslation("admin");
  const state = useAdminFeedState();
  const isOnline = useOnline();
  const isLive = isOnline && state === "live";
  return (
    <span className={isLive ? "live-mark on" : "live-mark"} role="status" data-testid="live-mark">
      <span className="dot" aria-hidden="true" />
      {isLive ? t("live.on") : isOnline ? t("live.waiting") : t("live.offline")}
    </span>
  );
}
