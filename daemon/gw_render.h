/*
 * Bodies of the gateway's answers, rendered by hand.
 *
 * What: the 200 of POST /v1/sign, and RFC 9457 problem documents with a stable `code`.
 * Why: one answer per signature is the hot path; and every error of the API has one shape.
 * A problem: {"title","status","code","detail","party","rule","need","approvers","retry_s"}; type is
 * about:blank by absence, so title is the status' own phrase; the others stand there only when known.
 */
#ifndef QR_GW_RENDER_H
#define QR_GW_RENDER_H

#include "proto/boundary.h"

/* Codes of errors that the gateway finds itself; the rest are qr_err_code(). */
#define QR_GW_CODE_ROUTE "route_unknown"
#define QR_GW_CODE_METHOD "method_not_allowed"
#define QR_GW_CODE_MEDIA "media_type"
#define QR_GW_CODE_LENGTH "length_required"
#define QR_GW_CODE_ORIGIN "origin_denied"

struct qr_gw_problem {
    unsigned status; /* 0: none */
    const char *code;
    qr_view detail; /* empty: left out */
    uint16_t party; /* 0: left out */
    qr_view rule;   /* empty: left out */
    uint32_t need;  /* 0: left out, with approvers; else so many more are needed of them */
    size_t n_approvers;
    const qr_view *approvers;
    uint64_t retry_s; /* Retry-After; 0: waiting does not help, or nobody knows */
};

/* A problem for an error of the party or of the way to it; detail empty: the error's own text. */
struct qr_gw_problem qr_gw_problem_of(qr_err e, qr_view detail);
/* The same for an answer with an error, with everything that it says. Views are the answer's. */
struct qr_gw_problem qr_gw_problem_of_answer(const struct qr_answer *a);

/* Both append to out. Errors: TOO_LARGE, NO_MEMORY. */
qr_err QR_MUST qr_gw_render_problem(struct qr_dbuf *out, const struct qr_gw_problem *p);
qr_err QR_MUST qr_gw_render_signed(struct qr_dbuf *out, const struct qr_answer_signed *s);

#endif
