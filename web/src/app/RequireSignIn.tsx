import { Navigate, Outlet, useLocation } from "react-router";
import { useSession } from "../lib/hooks";

/** Pages of a user; whoever is not signed in comes back here afterwards. */
export function RequireSignIn() {
  const session = useSession();
  const { pathname, search } = useLocation();
  if (!session) return <Navigate to={`/sign-in?next=${encodeURIComponent(pathname + search)}`} replace />;
  // Another user is another life: nothing that a page remembers crosses over.
  return <Outlet key={session.user.id} />;
}
