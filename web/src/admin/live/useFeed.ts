/** The console's socket, for its pages. */
import { createContext, useCallback, useContext, useEffect, useRef, useSyncExternalStore } from "react";
import { AdminFeed, type AdminFeedState } from "./feed";
import type { Frames, Topic } from "./frames";

export const FeedContext = createContext<AdminFeed>(new AdminFeed());

export function useAdminFeedState(): AdminFeedState {
  const feed = useContext(FeedContext);
  return useSyncExternalStore(feed.watchState, feed.state);
}

/** The newest frame of a topic; the page is drawn anew with each. */
export function useTopic<T extends Topic>(topic: T): Frames[T] | undefined {
  const feed = useContext(FeedContext);
  const watch = useCallback((changed: () => void) => feed.on(topic, changed), [feed, topic]);
  return useSyncExternalStore(
    watch,
    useCallback(() => feed.last(topic), [feed, topic]),
  );
}

/** Hears every frame of a topic, for what adds up over many; nothing is drawn by it. */
export function useFrames<T extends Topic>(topic: T, listener: (frame: Frames[T]) => void): void {
  const feed = useContext(FeedContext);
  const heard = useRef(listener);
  useEffect(() => {
    heard.current = listener;
  });
  useEffect(() => feed.on(topic, (frame) => heard.current(frame)), [feed, topic]);
}
