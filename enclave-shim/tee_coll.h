/*
 * qr_tee_coll: vendors' documents in a platform's hands, on their way into evidence.
 *
 * What: the pieces that the host brought for one need, kept until it brings newer ones for the same
 *       need, and added to every piece of evidence.
 * Why: they are the host's word. They are looked at here for name and size only; what they are worth
 *      is decided where evidence is verified, by ourselves first.
 * Invariants: all of a delivery or nothing of it; at most QR_TEE_COLL_MAX pieces, each within
 *      parts.def; what the evidence has already is left as it is.
 * Thread rules: single-threaded.
 */
#ifndef QR_TEE_COLL_H
#define QR_TEE_COLL_H

#include "enclave-shim/tee.h"

#define QR_TEE_COLL_MAX 16u

struct qr_tee_coll {
    size_t n;
    struct {
        const char *source; /* static: of the table below */
        enum qr_part part;
        uint8_t slot;
        uint8_t *p;
        size_t len;
    } item[QR_TEE_COLL_MAX];
};

/* What one need may bring; ends with QR_PART_NONE. */
struct qr_tee_source {
    const char *name; /* "amd-kds", as in daemon/gw_need.h */
    const enum qr_part *parts;
};
extern const struct qr_tee_source qr_tee_amd_kds, qr_tee_intel_pcs, qr_tee_azure_thim,
    qr_tee_azure_tdquote, qr_tee_google_ca, qr_tee_google_root;

/*
 * Replaces what `source` brought before. PLATFORM: a part that the source does not have, or twice;
 * TOO_LARGE, NO_MEMORY. Nothing changes on errors.
 */
qr_err QR_MUST qr_tee_coll_take(struct qr_tee_coll *c, const struct qr_tee_source *source,
                                const struct qr_tee_piece *piece, size_t n);
/*
 * One piece from elsewhere (a file of the image), which no delivery replaces. source: static, none of the
 * above. TOO_LARGE, NO_MEMORY.
 */
qr_err QR_MUST qr_tee_coll_put(struct qr_tee_coll *c, const char *source, enum qr_part part,
                               uint8_t slot, qr_view v);
/* Views into c. Errors as qr_evidence_add, of a total that is too large. */
qr_err QR_MUST qr_tee_coll_add(const struct qr_tee_coll *c, struct qr_evidence *e);
/* The piece, or a view with p NULL. */
qr_view qr_tee_coll_get(const struct qr_tee_coll *c, enum qr_part part);
void qr_tee_coll_free(struct qr_tee_coll *c);

#endif
