/*
 * qr_cache: vendors' answers on disk, so that a restart in an outage finds the last good ones.
 *
 * What: one file an URL, named by the URL's SHA-256:
 *        "QRCOLL1\n" || url || "\n" || u32 length of the header || header || body.
 * Why: nothing in here is secret or trusted; it is an answer to be read like any other.
 * Invariants: written beside and renamed; a file that is damaged or of another URL is not there.
 */
#ifndef QR_GW_CACHE_H
#define QR_GW_CACHE_H

#include "daemon/gw_fetch.h"
#include "protocol/base/mem.h"

#define QR_CACHE_FILE_MAX (QR_DOC_BODY_MAX + QR_FETCH_HEADER_MAX + QR_URL_MAX + 64u)

/* A folder that exists and that we may write to. NOT_FOUND, PERMISSIONS. */
qr_err QR_MUST qr_cache_check(const char *dir, char *err_text, size_t err_cap);
/* A failure is logged and forgotten: a cache is a convenience. */
void qr_cache_put(const char *dir, const char *url, qr_view header, qr_view body);
/* mem (its max is QR_CACHE_FILE_MAX) holds what the views point to. NOT_FOUND, NO_MEMORY. */
qr_err QR_MUST qr_cache_get(const char *dir, const char *url, struct qr_dbuf *mem,
                            qr_view *ret_header, qr_view *ret_body);

#endif
