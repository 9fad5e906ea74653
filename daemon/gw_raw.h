/*
 * The gateway's routes for raw payloads, compatible with the published wire format of that API.
 *
 * What: POST /public/v1/submit/{sign_raw_payload,sign_raw_payloads,sign_transaction}. The body goes to the
 *       party as it came, with its stamp: every party reads that form itself (daemon/request.h). Here
 *       is only what the answer needs: whether the body is the route's, the organization to name,
 *       the transaction to put the signature into.
 * Answers: {"activity":{"id","organizationId","status":"ACTIVITY_STATUS_COMPLETED","type","result":{…}}}; id
 *       is the request hash, by which a receipt is asked for.
 * Errors: {"code":7,"message":"policy_denied: …","details":[{…}]}; code is a status number of gRPC, the one
 *       element of details the problem document that POST /v1/sign would answer.
 * Trust: none. A gateway that lies here hands out a signature that does not fit, and nothing else.
 */
#ifndef QR_GW_RAW_H
#define QR_GW_RAW_H

#include "daemon/gw_render.h"
#include "daemon/gw_route.h"

/* 1: one of those three. */
int qr_gw_raw_is(enum qr_gw_route r);

/* What the answer needs of a body. */
struct qr_gw_raw {
    char organization[QR_NAME_MAX + 1];
    uint8_t *tx; /* sign_transaction: the unsigned bytes, on the heap; else NULL */
    size_t tx_len;
};

/*
 * The party judges the body; this refuses only what could not be answered: no JSON, another route's type, an
 * organization that is no name, a transaction that is no hex. Errors: MALFORMED, TOO_LARGE, NO_MEMORY; why
 * (cap bytes) says it. On success the caller calls qr_gw_raw_clear.
 */
qr_err QR_MUST qr_gw_raw_read(qr_view body, enum qr_gw_route r, struct qr_gw_raw *ret, char *why,
                              size_t cap);
void qr_gw_raw_clear(struct qr_gw_raw *raw);

/*
 * Appends the answer. INTERNAL (why): the party's signatures do not fit the request: another number of
 * them, or another transaction's digest. TOO_LARGE, NO_MEMORY.
 */
qr_err QR_MUST qr_gw_raw_render(struct qr_dbuf *out, enum qr_gw_route r,
                                const struct qr_gw_raw *raw, const struct qr_answer_signed *s,
                                char *why, size_t cap);
qr_err QR_MUST qr_gw_raw_problem(struct qr_dbuf *out, const struct qr_gw_problem *p);

#endif
