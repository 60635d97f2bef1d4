import { useEffect, useRef, type ReactNode } from "react";
import { useLocation } from "react-router";

/** Links beside each other, one of them the page in hand. On phones not all are in sight: that one always is. */
export function Tabs({ label, children }: { label: string; children: ReactNode }) {
  const nav = useRef<HTMLElement>(null);
  const { pathname, search } = useLocation();
  useEffect(() => {
    const all = nav.current;
    const current = all?.querySelector("[aria-current]");
    if (!all || !current) return;
    const [outer, inner] = [all.getBoundingClientRect(), current.getBoundingClientRect()];
    all.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  }, [pathname, search]);
  return (
    <nav className="tabs" aria-label={label} ref={nav}>
      {children}
    </nav>
  );
}
