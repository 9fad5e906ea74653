/**
 * Errors. A caller can tell three things apart:
 *   Problem     a gateway or party refused, with the stable code of its problem document
 *   CheckError  an answer, a document or an argument is wrong; nothing of it was used
 *   NetworkError nobody answered; the same request may be sent again
 */

/** Codes of problem documents that callers act on; there are others, and there will be more. */
export type ProblemCode =
  | "malformed" | "too_large" | "wrong_cluster" | "stamp_missing" | "stamp_invalid"
  | "client_unknown" | "expired" | "not_yet_valid" | "policy_denied" | "approval_needed"
  | "approval_invalid" | "limit_exceeded" | "key_unknown" | "replay_conflict"
  | "preimage_invalid" | "rate_limited" | "not_ready" | "quorum_unavailable"
  | "no_presignatures" | "round_timeout" | "receipt_unknown" | (string & {});

/** A refusal, as application/problem+json (RFC 9457) told it. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  readonly code: ProblemCode;
  /** For people; untrusted text. */
  readonly detail: string;
  /** The rule that decided, if one did. */
  readonly rule: string | undefined;
  /** The party that refused, if another one than the gateway's. */
  readonly party: number | undefined;
  /** approval_needed: how many approvals the rule asks for, and who may give them. */
  readonly need: number | undefined;
  readonly approvers: readonly string[];
  /** Seconds after which a repetition makes sense. */
  readonly retryAfter: number | undefined;
  readonly gateway: string;

  constructor(gateway: string, status: number, o: Record<string, unknown>, retryAfter: string | null) {
    const code = typeof o["code"] === "string" ? o["code"] : "malformed";
    const detail = typeof o["detail"] === "string" ? printable(o["detail"]) : "";
    super(`${gateway} answered ${status} ${printable(code)}${detail ? `: ${detail}` : ""}`);
    this.gateway = gateway;
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.rule = typeof o["rule"] === "string" ? o["rule"] : undefined;
    this.party = typeof o["party"] === "number" ? o["party"] : undefined;
    this.need = typeof o["need"] === "number" ? o["need"] : undefined;
    const who = o["approvers"];
    this.approvers = Array.isArray(who) ? who.filter((x): x is string => typeof x === "string") : [];
    const wait = retryAfter !== null && /^[0-9]{1,9}$/.test(retryAfter) ? Number(retryAfter) : undefined;
    this.retryAfter = wait;
  }

  /** True when the same bytes may be accepted later or elsewhere. */
  get temporary(): boolean {
    return this.status === 429 || this.status >= 502;
  }
}

/** Something that was checked is not as it must be. */
export class CheckError extends Error {
  override readonly name = "CheckError";
  /** "usage": the caller's argument; "malformed": it cannot be read; "untrusted": it is a lie. */
  readonly kind: "usage" | "malformed" | "untrusted";

  constructor(kind: "usage" | "malformed" | "untrusted", message: string) {
    super(message);
    this.kind = kind;
  }
}

/** No answer, or none that is HTTP of ours. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  readonly gateway: string;

  constructor(gateway: string, message: string, cause?: unknown) {
    super(`${gateway}: ${message}`, { cause });
    this.gateway = gateway;
  }
}

/** Every gateway failed; `errors` has one error for each, in order; `cause` is the first. */
export class AllGatewaysFailed extends Error {
  override readonly name = "AllGatewaysFailed";
  readonly errors: readonly Error[];

  constructor(errors: readonly Error[]) {
    super(errors.map((e) => e.message).join("; "), { cause: errors[0] });
    this.errors = errors;
  }
}

/** Text of a stranger, for a terminal or a page's text: control characters made visible. */
export function printable(s: string): string {
  let out = "";
  for (const c of s.slice(0, 400)) {
    const v = c.codePointAt(0) ?? 0;
    const bad = v < 32 || (v >= 127 && v < 160) || (v >= 0x200b && v <= 0x200f) ||
      (v >= 0x202a && v <= 0x202e) || (v >= 0x2066 && v <= 0x2069) || v === 0xfeff;
    out += bad ? "?" : c;
  }
  return out;
}
