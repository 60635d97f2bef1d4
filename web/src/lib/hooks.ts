import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { currentSession, watchSession, type Session } from "../api/session";
import { serverNow } from "../live/clock";

export function useSession(): Session | null {
  return useSyncExternalStore(watchSession, currentSession);
}

/** The server's time, anew at each of its full seconds. */
export function useServerSecond(isTicking = true): number {
  const [now, setNow] = useState(() => serverNow());
  useEffect(() => {
    if (!isTicking) return;
    let timer: ReturnType<typeof setTimeout>;
    const tick = () => {
      const at = serverNow();
      setNow(at);
      timer = setTimeout(tick, 1000 - (((at % 1000) + 1000) % 1000) + 4);
    };
    tick();
    return () => clearTimeout(timer);
  }, [isTicking]);
  return now;
}

export function useOnline(): boolean {
  return useSyncExternalStore(
    useCallback((changed: () => void) => {
      window.addEventListener("online", changed);
      window.addEventListener("offline", changed);
      return () => {
        window.removeEventListener("online", changed);
        window.removeEventListener("offline", changed);
      };
    }, []),
    () => navigator.onLine,
  );
}

/** Names the page in the tab and to screen readers. */
export function useTitle(title: string | undefined): void {
  useEffect(() => {
    document.title = title ? `${title} · RushMall` : "RushMall";
  }, [title]);
}
