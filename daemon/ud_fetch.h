/*
 * Fetching user data from the provider's metadata service.
 *
 * What: one bounded GET with libcurl, and where each provider keeps its guests' user data.
 * Why: the metadata service is the host. What it answers is bytes for a strict reader; it gets no
 *      say in where we connect, for how long, or how much we take.
 * Invariants: no redirect, no proxy (of the environment or otherwise), no cookies, no credentials,
 *      http and https only, HTTP status 200 only; the size and the whole time are bounded.
 * Source: Google Cloud "View and query VM metadata"; Azure Instance Metadata Service,
 *      "Get user data".
 * Thread rules: one thread; libcurl is initialised by qr_ud_get itself.
 */
#ifndef QR_UD_FETCH_H
#define QR_UD_FETCH_H

#include "protocol/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define QR_UD_ERR_MAX 320u

enum qr_ud_provider { QR_UD_GCP, QR_UD_AZURE };

/* 1 and *ret for "gcp" or "azure". */
int qr_ud_provider_parse(const char *name, enum qr_ud_provider *ret);

struct qr_ud_source {
    const char *url, *header; /* header: one line, or NULL */
    int base64;               /* the answer is base64 of the text */
    const char *dns;          /* the provider's resolver, for documents that do not name one */
};
const struct qr_ud_source *qr_ud_source(enum qr_ud_provider provider);

/*
 * GETs url into buf (cap bytes), *ret_len of them used. TEMPORARY errors (LINK_CLOSED, TIMEOUT) are
 * worth a retry; TOO_LARGE, MALFORMED (a status that is not 200) are not, but for a status of 404,
 * 429 or 5xx, which is LINK_CLOSED: metadata services answer so while a machine starts.
 */
qr_err QR_MUST qr_ud_get(const char *url, const char *header, unsigned timeout_ms, uint8_t *buf,
                         size_t cap, size_t *ret_len, char err_text[static QR_UD_ERR_MAX]);

#endif
