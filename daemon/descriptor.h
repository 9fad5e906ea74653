/*
 * Descriptors: what a party says of itself, signed by its identity key.
 *
 * What: {"descriptor":"<exact text>","signature":"<128 hex>"}; the text is
 *       {"v":1,"type":"quorate/descriptor","identity":"<64 hex>","address":"tcp://…","cloud":"…",
 *        "operator":"…","tee":"sim","measurement":"<64 hex>"} and the signature is Ed25519 by
 *       `identity` over TH("descriptor"; text).
 * Why: identity keys are born inside the parties; the operator assembles a roster from these and
 *      cannot mistype a key.
 */
#ifndef QR_DESCRIPTOR_H
#define QR_DESCRIPTOR_H

#include "daemon/roster.h"
#include "protocol/base/mem.h"
#include "protocol/dkg.h" /* qr_id_signer */

struct qr_descriptor {
    struct qr_roster_party party; /* index is 0: the roster gives it */
    uint8_t measurement[32];
};

/* Appends the container to out. Errors: USAGE (a field cannot stand in a roster), CRYPTO_LIB (the
 * signer failed), NO_MEMORY, TOO_LARGE. */
qr_err QR_MUST qr_descriptor_build(const struct qr_descriptor *d, const struct qr_id_signer *signer,
                                   struct qr_dbuf *out);
/* Reads a container and checks its signature. Errors: MALFORMED and the like, IDENTITY, ADDRESS. */
qr_err QR_MUST qr_descriptor_parse(qr_view container, struct qr_descriptor *ret, char *err_text,
                                   size_t err_cap);

#endif
