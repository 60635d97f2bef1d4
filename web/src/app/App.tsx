import { QueryClientProvider } from "@tanstack/react-query";
import { useEffect } from "react";
import { RouterProvider } from "react-router/dom";
import { queryClient } from "../api/queries";
import { watchSession, currentSession } from "../api/session";
import { LiveOrders } from "../live/LiveOrders";
import { router } from "./routes";

/** Whatever belongs to a user is forgotten when he leaves, whichever tab he leaves by. */
function useForgetOnSignOut(): void {
  useEffect(() => {
    let userId = currentSession()?.user.id;
    return watchSession(() => {
      const now = currentSession()?.user.id;
      if (now === userId) return;
      userId = now;
      queryClient.removeQueries({ queryKey: ["mine"] });
      queryClient.removeQueries({ queryKey: ["admin"] });
      void queryClient.invalidateQueries({ queryKey: ["cart"] });
    });
  }, []);
}

export function App() {
  useForgetOnSignOut();
  return (
    <QueryClientProvider client={queryClient}>
      <LiveOrders>
        <RouterProvider router={router} />
      </LiveOrders>
    </QueryClientProvider>
  );
}
