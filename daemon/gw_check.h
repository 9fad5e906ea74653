/*
 * What the gateway demands of a request's header fields, apart from the HTTP library.
 *
 * What: the fields are counted and kept as views while they are walked through; one function then
 *       judges them for a route and method.
 * Why: two lengths for one body are how requests are smuggled past a proxy, and a second X-Stamp
 *      is how one signature is shown to one reader and another to the next. The library takes
 *      both; here they are refused, and so is every transfer coding: clients know their lengths.
 *      X-Approval alone may stand several times, and its order is kept; a line may hold several with
 *      commas between them (RFC 9110 section 5.3), which is how fetch() sends them.
 */
#ifndef QR_GW_CHECK_H
#define QR_GW_CHECK_H

#include "daemon/gw_render.h"
#include "daemon/gw_route.h"

#define QR_GW_FIELDS_MAX 64u
/* A refused body up to this long is still read, so that the client gets to read the answer. */
#define QR_GW_DRAIN_MAX (1024u * 1024u)

struct qr_gw_head {
    unsigned n;   /* fields */
    unsigned bad; /* fields with a NUL in them */
    unsigned n_length, n_coding, n_host, n_type, n_encoding, n_stamp, n_trace;
    qr_view length, type, stamp, trace;
    unsigned n_origin, n_preflight; /* Origin, Access-Control-Request-Method */
    qr_view origin;
    unsigned n_approval; /* more than fit are counted, not kept */
    qr_view approval[QR_APPROVALS_MAX];
};

/* name and value must live as long as h. */
void qr_gw_head_add(struct qr_gw_head *h, qr_view name, qr_view value);

struct qr_gw_verdict {
    struct qr_gw_problem problem; /* status 0: go on */
    uint64_t body_len;
    int must_close; /* the body's end is not certain or too far: answer at once and close */
    qr_view trace;  /* the trace context if it is well formed, else empty */
};

void qr_gw_judge(const struct qr_gw_head *h, enum qr_gw_route route, enum qr_gw_method method,
                 struct qr_gw_verdict *ret);

#endif
