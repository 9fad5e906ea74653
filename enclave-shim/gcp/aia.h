/*
 * qr_gcp_aia: where the CA certificate above one of Google's is, as the need of it is written.
 *
 * What: the caIssuers address of a certificate, if it has the one form that Google's private CAs use:
 *       http://privateca-content-UUID.storage.googleapis.com/HEX/ca.crt. Its two variable words are
 *       returned; the gateway makes the address of them again, so that no free text of a certificate
 *       decides whom it calls.
 * Source: as observed in certificates of 2024 to 2026; RFC 5280, 4.2.2.1.
 */
#ifndef QR_GCP_AIA_H
#define QR_GCP_AIA_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_GCP_AIA_BUCKET 36u /* hex digits and dashes */
#define QR_GCP_AIA_OBJECT 20u /* hex digits */

struct qr_gcp_aia {
    char bucket[QR_GCP_AIA_BUCKET + 1];
    char object[QR_GCP_AIA_OBJECT + 1];
};

/* cert: DER, perhaps padded with zeros. NOT_FOUND: no certificate, or no address of that form. */
qr_err QR_MUST qr_gcp_aia_read(qr_view cert, struct qr_gcp_aia *ret);

#endif
