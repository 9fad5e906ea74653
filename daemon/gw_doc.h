/*
 * qr_doc: a vendor's answer, taken apart into the pieces of evidence that a party knows by name.
 *
 * What: certificates (DER, PEM chains), revocation lists, Intel's signed JSON and AMD's by way of
 *       Azure, key sets. Each becomes one to three pieces ("vek.der", "tcb_info.json", …).
 * Why here: the host does the fetching, so that a party speaks no HTTP. Nothing is believed: signatures
 *      are the party's to check. What is looked at is form, so that an error page is not passed on
 *      as a certificate, and the issue date, so that an older document does not replace a newer one.
 * Invariants: an answer is at most QR_DOC_BODY_MAX bytes; a piece is a copy on the heap; signed JSON
 *      is cut out byte by byte and never written anew.
 * Source: AMD KDS (Versioned Chip Endorsement Key specification), Intel PCS API v4, Azure THIM, RFC 7517.
 */
#ifndef QR_GW_DOC_H
#define QR_GW_DOC_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_DOC_BODY_MAX (128u * 1024u)
#define QR_DOC_PIECES 3u

enum qr_doc_kind {
    QR_DOC_VEK,         /* DER */
    QR_DOC_AMD_CHAIN,   /* PEM: ASK, ARK */
    QR_DOC_AMD_CRL,     /* DER */
    QR_DOC_TCB_INFO,    /* JSON, and the issuer chain from a header */
    QR_DOC_QE_IDENTITY, /* JSON */
    QR_DOC_PCK_CRL,     /* DER */
    QR_DOC_ROOT_CRL,    /* DER */
    QR_DOC_THIM,        /* JSON with PEM inside */
    QR_DOC_JWKS,        /* JSON */
    QR_DOC_TDQUOTE,     /* JSON with a quote in base64url inside */
    QR_DOC_GOOGLE_CA,   /* DER or PEM: the CA above a vTPM's key */
    QR_DOC_GOOGLE_ROOT, /* the same of the root above it */
    QR_DOC_KINDS
};

struct qr_doc_piece {
    const char *name;
    uint8_t *p;
    size_t len;
};

struct qr_doc {
    size_t n;
    struct qr_doc_piece piece[QR_DOC_PIECES];
    int64_t issued_ms; /* -1: the document has no date */
};

/* The response header that the kind needs beside the body, in lower case; NULL: none. */
const char *qr_doc_header(enum qr_doc_kind k);
const char *qr_doc_name(enum qr_doc_kind k); /* "TCB info", for logs */

/*
 * header: the value of that header as it came (percent-encoded PEM), or empty. MALFORMED: err_text
 * says what was expected; TOO_LARGE; NO_MEMORY. On success the caller frees with qr_doc_free.
 */
qr_err QR_MUST qr_doc_read(enum qr_doc_kind k, qr_view body, qr_view header, struct qr_doc *ret,
                           char *err_text, size_t err_cap);
void qr_doc_free(struct qr_doc *d);

#endif
