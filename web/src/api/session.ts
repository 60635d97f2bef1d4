/**
 * Who is signed in, shared by all tabs through localStorage. A refresh token works once, and using it twice ends the
 * sign-in; so only one tab at a time may renew, and the others take what it got.
 */
import type { components } from "./schema";

export type User = components["schemas"]["UserView"];

export interface Session {
  token: string;
  refreshToken: string;
  /** By this machine's clock. */
  expiresAt: number;
  user: User;
}

const KEY = "rushmall.session";
/** A token that ends within this time is renewed before it is used. */
const RENEW_BEFORE_MS = 20_000;
const LEASE_KEY = "rushmall.renewing";
/** Longer than a renewal may take. */
const LEASE_MS = 16_000;
/** What one tab stores reaches the others on another way than the lock, perhaps a moment later. */
const SPREAD_MS = 500;

type Listener = () => void;
const listeners = new Set<Listener>();
let cached: { text: string | null; session: Session | null } = { text: null, session: null };

export function currentSession(): Session | null {
  const text = read(KEY);
  if (text !== cached.text) cached = { text, session: parse(text) };
  return cached.session;
}

export function storeSession(session: Session | null): void {
  if (session) write(KEY, JSON.stringify(session));
  else write(KEY, null);
  listeners.forEach((listener) => listener());
}

/** Told of every change, in this tab or another. */
export function watchSession(listener: Listener): () => void {
  const inOtherTab = (event: StorageEvent) => {
    if (event.key === KEY || event.key === null) listener();
  };
  listeners.add(listener);
  window.addEventListener("storage", inOtherTab);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("storage", inOtherTab);
  };
}

export function isFresh(session: Session, now = Date.now()): boolean {
  return now < session.expiresAt - RENEW_BEFORE_MS;
}

export interface Tokens {
  token: string;
  refresh_token: string;
  expires_in: number;
}

export function sessionOf(tokens: Tokens, user: User, now = Date.now()): Session {
  return {
    token: tokens.token,
    refreshToken: tokens.refresh_token,
    expiresAt: now + tokens.expires_in * 1000,
    user,
  };
}

/** `null`: the server does not know this sign-in any more. A thrown error: it could not be asked. */
export type Renew = (refreshToken: string) => Promise<Tokens | null>;

let renewing: Promise<Session | null> | null = null;

/** A session whose token is not `staleToken`, renewed if nobody else did; `null` if the sign-in is over. */
export function renewedSession(staleToken: string, renew: Renew): Promise<Session | null> {
  renewing ??= alone(() => renewUnlessDone(staleToken, renew)).finally(() => {
    renewing = null;
  });
  return renewing;
}

async function renewUnlessDone(staleToken: string, renew: Renew): Promise<Session | null> {
  const session = currentSession();
  if (!session || (session.token !== staleToken && isFresh(session))) return session;
  const tokens = await renew(session.refreshToken);
  // Signed out, or in as somebody else, while the answer was under way: what is stored now holds.
  if (currentSession()?.refreshToken !== session.refreshToken) return currentSession();
  const renewed = tokens ? sessionOf(tokens, session.user) : null;
  storeSession(renewed);
  return renewed;
}

/** Runs `work` in one tab at a time. */
async function alone<T>(work: () => Promise<T>): Promise<T> {
  // Browsers lock between tabs on https and on this machine only; elsewhere a lease in the storage is nearly as good.
  if ("locks" in navigator) return underLock(work);
  const mine = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const giveUpAt = Date.now() + LEASE_MS;
  for (;;) {
    const [holder, until] = (read(LEASE_KEY) ?? "").split(" ");
    if (holder === mine || Date.now() > giveUpAt) break;
    if (!holder || Date.now() > Number(until)) write(LEASE_KEY, `${mine} ${Date.now() + LEASE_MS}`);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  try {
    return await work();
  } finally {
    write(LEASE_KEY, null);
  }
}

/** Answers as soon as `work` does, but keeps the lock until the next tab can see what was stored. */
function underLock<T>(work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const held = async () => {
      const outcome = work();
      resolve(outcome);
      await Promise.allSettled([outcome]);
      await new Promise((done) => setTimeout(done, SPREAD_MS));
    };
    navigator.locks.request(LEASE_KEY, held).catch((error: unknown) => reject(error as Error));
  });
}

const memory = new Map<string, string>();

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return memory.get(key) ?? null;
  }
}

function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    if (value === null) memory.delete(key);
    else memory.set(key, value);
  }
}

function parse(text: string | null): Session | null {
  if (!text) return null;
  try {
    const session = JSON.parse(text) as Session;
    return session.token && session.refreshToken ? session : null;
  } catch {
    return null;
  }
}
