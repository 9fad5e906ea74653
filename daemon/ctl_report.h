/*
 * qr_ctl_report: a verdict, for programs as one JSON object and for people as text.
 *
 * JSON: {"platform":"amd-sev-snp","verdict":"valid"|"invalid","reason":null|"word",
 *        "tcb_status":null|"UpToDate"...,"advisories":[...],"checks":{name:"pass"|"fail"|"skipped"},
 *        "claims":{...}} and a newline; one line, members in this order. A status is told of valid
 *        evidence only: of anything else nothing is known. Claims of refused evidence are
 *        for display.
 * Text: what was found, what that check means, and what the reader can do about it.
 */
#ifndef QR_CTL_REPORT_H
#define QR_CTL_REPORT_H

#include "daemon/ctl.h"
#include "enclave-shim/verify/verdict.h"

#define QR_REPORT_MAX (1024u * 1024u)

/* Appends to out, whose maximum should be QR_REPORT_MAX. NO_MEMORY, TOO_LARGE. */
qr_err QR_MUST qr_ctl_report_json(const char *platform, const struct qr_verdict *v,
                                  struct qr_dbuf *out);
/* The same facts in lines; claims only when `claims` is set. */
qr_err QR_MUST qr_ctl_report_text(const char *platform, const struct qr_verdict *v, int claims,
                                  struct qr_dbuf *out);
/* What to do about a refusal, one sentence. */
const char *qr_ctl_report_advice(enum qr_reason r);

#endif
