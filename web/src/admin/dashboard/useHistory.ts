/** The last minutes, for the pages that draw them; frames are taken while one of them is open. */
import { createContext, useCallback, useContext, useSyncExternalStore } from "react";
import { useFrames } from "../live/useFeed";
import { History, type Point } from "./history";

export const HistoryContext = createContext<History>(new History());

export function useHistory(): readonly (Point | null)[] {
  const history = useContext(HistoryContext);
  useFrames("metrics", (frame) => history.take(frame));
  return useSyncExternalStore(
    useCallback((changed) => history.watch(changed), [history]),
    useCallback(() => history.list(), [history]),
  );
}
