/*
 * Which web pages may call the API from a browser: a list of origins, each compared whole.
 *
 * What: reads the value of `[api] cors`, and says whether an Origin header is one of them.
 * Why a list: a request is authorised by its stamp and by nothing that a browser adds by itself (no cookie,
 *      no client certificate), so another page could do no harm with it; but a signing service
 *      answers who was named, and nobody by a wildcard. Without a list no page may read an answer.
 * Source: WHATWG Fetch, section 3.2 (CORS protocol); RFC 6454 section 6.2 (an origin's text).
 */
#ifndef QR_GW_CORS_H
#define QR_GW_CORS_H

#include "protocol/base/err.h"
#include "protocol/base/limits.h"
#include "protocol/base/view.h"

#define QR_GW_ORIGIN_MAX 128u

struct qr_gw_cors {
    size_t n; /* 0: no page may */
    char origin[QR_ORIGINS_MAX][QR_GW_ORIGIN_MAX + 1];
};

/*
 * text: origins separated by single spaces, or empty. An origin is scheme://host[:port] in lower case
 * without anything behind it; https, or http where the host is localhost or 127.0.0.1. CONFIG: err_text
 * says which one is wrong and why.
 */
qr_err QR_MUST qr_gw_cors_parse(const char *text, struct qr_gw_cors *ret, char *err_text,
                                size_t err_cap);
/* The origin as it is in the list, or NULL. */
const char *qr_gw_cors_find(const struct qr_gw_cors *c, qr_view origin);

#endif
