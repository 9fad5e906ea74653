/** Handing a request to approvers: as a file, or as a link to the page that their organisation serves. */
import { base64url, text, utf8 } from "./bytes.js";
import type { Problem } from "./errors.js";
import type { PreparedRequest } from "./request.js";

/**
 * What `quorate approve` and the approvers' page read. `refusal`: the approval_needed that a party
 * answered; shown to the approver as the client's word.
 */
export function requestFile(request: Pick<PreparedRequest, "body" | "stamp">, refusal?: Problem): string {
  const answer = refusal && {
    ...(refusal.rule !== undefined && { rule: refusal.rule }),
    ...(refusal.need !== undefined && { need: refusal.need }),
    approvers: refusal.approvers, detail: refusal.detail,
  };
  return JSON.stringify({ body: text(request.body, "the body"), stamp: request.stamp, ...(answer && { answer }) });
}

/** The same as a link; what follows # is not sent to the server. */
export function approvalLink(page: string, request: Pick<PreparedRequest, "body" | "stamp">, refusal?: Problem): string {
  const u = new URL(page);
  u.hash = base64url(utf8(requestFile(request, refusal)));
  return u.href;
}
