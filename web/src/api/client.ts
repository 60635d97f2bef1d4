/**
 * The one place that speaks HTTP. Paths, parameters and answers are typed by our OpenAPI description; envelopes are opened
 * here, tokens renewed here, and every refusal leaves as an `ApiError`.
 */
import createClient from "openapi-fetch";
import { noteServerTime } from "../live/clock";
import { ApiError, Code, Unreachable, errorOf } from "./error";
import type { paths } from "./schema";
import { currentSession, isFresh, renewedSession, storeSession, type Session, type Tokens } from "./session";

/** Longer than the server takes before it answers 503 itself. */
const TIMEOUT_MS = 15_000;
/** Files take their time, there and back. */
const FILE_TIMEOUT_MS = 300_000;

let language = "zh";

/** In which language the server shall answer. */
export function speak(lang: string): void {
  language = lang;
}

async function send(request: Request, timeoutMs = TIMEOUT_MS): Promise<Response> {
  try {
    return await fetch(request, {
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]),
    });
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw new Unreachable(error);
  }
}

async function renew(refreshToken: string): Promise<Tokens | null> {
  const request = new Request("/api/auth/refresh-token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ refresh_token: refreshToken }),
  });
  const response = await send(request);
  const envelope = (await response.json().catch(() => ({}))) as { code?: number; data?: Tokens };
  if (envelope.code === 0 && envelope.data) return envelope.data;
  const error = errorOf(response.status, envelope);
  if (error.isPassing) throw error;
  return null;
}

const TOKEN_REFUSED: readonly number[] = [401, Code.TokenExpired, Code.TokenInvalid, Code.SignInNeeded];

/** The code of a refusal that is about who asks; 0 if it is about something else. */
async function refusalOf(response: Response): Promise<number> {
  if (response.status !== 401 && response.status !== 403) return 0;
  const envelope = (await response
    .clone()
    .json()
    .catch(() => ({}))) as { code?: number };
  return envelope.code ?? response.status;
}

async function isTokenRefused(response: Response): Promise<boolean> {
  return response.status === 401 && TOKEN_REFUSED.includes(await refusalOf(response));
}

/** An administrator shut this user out; who only tries to sign in as such a user is told so and stays who he is. */
async function isShutOut(request: Request, response: Response): Promise<boolean> {
  const isSigningIn = new URL(request.url).pathname === "/api/user/login";
  return !isSigningIn && (await refusalOf(response)) === Code.UserDisabled;
}

function signed(request: Request, session: Session | null): Request {
  const copy = request.clone();
  copy.headers.set("Accept-Language", language);
  if (session) copy.headers.set("Authorization", `Bearer ${session.token}`);
  return copy;
}

/** Sends with a token that holds; if the server thinks otherwise, renews it and tries once more. */
async function authorized(request: Request, timeoutMs = TIMEOUT_MS): Promise<Response> {
  let session = currentSession();
  if (session && !isFresh(session)) session = await renewedSession(session.token, renew);
  const response = await send(signed(request, session), timeoutMs);
  if (session && (await isShutOut(request, response))) {
    storeSession(null);
    return response;
  }
  if (!session || !(await isTokenRefused(response))) return response;
  const renewed = await renewedSession(session.token, renew);
  if (!renewed) return response;
  const second = await send(signed(request, renewed), timeoutMs);
  if (await isTokenRefused(second)) storeSession(null);
  return second;
}

export const api = createClient<paths>({
  baseUrl: location.origin,
  fetch: (request: Request) => authorized(request),
});

/** `fetch` of a request that carries or brings a file. */
export const withFile = (request: Request) => authorized(request, FILE_TIMEOUT_MS);

interface Answer<T> {
  data?: { code: number; data: T } | undefined;
  error?: unknown;
  response: Response;
}

/** The data of an answer. */
export async function dataOf<T>(answer: Promise<Answer<T>>): Promise<T> {
  const sentAt = Date.now();
  const { data, error, response } = await answer;
  if (data?.code !== 0) throw errorOf(response.status, data ?? error);
  const told = (data.data as { server_time?: unknown } | null)?.server_time;
  if (typeof told === "string") noteServerTime(told, sentAt);
  return data.data;
}

/** Of an answer without data. */
export async function done(
  answer: Promise<{ data?: unknown; error?: unknown; response: Response }>,
): Promise<void> {
  const { data, error, response } = await answer;
  const envelope = data as { code?: number } | undefined;
  if (envelope?.code !== 0) throw errorOf(response.status, data ?? error);
}

/** Names a wish, so that it is granted once however often it is sent. */
export function newIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The error's own words, if it has any. */
export function wordsOf(error: unknown): string | null {
  return error instanceof ApiError ? error.message : null;
}
