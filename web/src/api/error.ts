/** A refusal or failure of the API, in the words that the server chose. */

export const Code = {
  Conflict: 409,
  TooManyRequests: 429,
  Unavailable: 503,
  UserDisabled: 10003,
  TokenExpired: 10005,
  TokenInvalid: 10006,
  SignInNeeded: 10008,
  PayRefused: 30004,
  ProductNotFound: 20001,
  SoldOut: 60003,
  AlreadyBought: 60004,
  TooFrequent: 60010,
  Busy: 60011,
  Waiting: 60012,
} as const;

export interface FieldProblem {
  field: string;
  message: string;
}

interface Details {
  errors?: FieldProblem[];
  order_no?: string;
  retry_after_ms?: number;
  /** A place in a waiting room, to be shown with the next try. */
  queue_ticket?: string;
  position?: number;
  eta_ms?: number;
  attempt?: number;
}

export class ApiError extends Error {
  readonly code: number;
  readonly status: number;
  readonly details: Details;
  readonly traceId: string;

  constructor(code: number, status: number, message: string, details: Details = {}, traceId = "") {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
    this.details = details;
    this.traceId = traceId;
  }

  /** True if the same request may succeed a moment later. */
  get isPassing(): boolean {
    return this.status === 409 || this.status === 429 || this.status >= 500 || this.code === Code.TooFrequent;
  }
}

/** The server was not reached, or did not answer in time: what it did is not known. */
export class Unreachable extends Error {
  constructor(cause?: unknown) {
    super("unreachable", { cause });
    this.name = "Unreachable";
  }
}

export function isPassing(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof ApiError && error.isPassing);
}

/** What an answer that is no success says; also of a proxy in between, which knows nothing of envelopes. */
export function errorOf(status: number, body: unknown): ApiError {
  const envelope = (typeof body === "object" && body !== null ? body : {}) as {
    code?: number;
    message?: string;
    data?: Details | null;
    trace_id?: string;
  };
  return new ApiError(
    envelope.code ?? status,
    status,
    envelope.message ?? `HTTP ${status}`,
    envelope.data ?? {},
    envelope.trace_id,
  );
}
