/*
 * Bob of the OT extension a second time, written from SPEC.md section 5, who may lie.
 *
 * What: u, V, the challenge, the combined rows and the message for B = 4; each group may use its own
 *       beta', and the combined rows may be changed before they are hashed.
 * Why: an opinion of its own for the tests of cot.c; and the best attack on C1, which no Bob of the
 *      product would play: another beta' in one group, with a hash that is right for one Delta_g.
 * Thread rules: a struct is one caller's; the AES context is re-keyed.
 */
#ifndef QR_TEST_COTREF_H
#define QR_TEST_COTREF_H

#include "protocol/base/aes.h"
#include "protocol/cot.h"

#include <stddef.h>
#include <stdint.h>

#define COTREF_ROW QR_COT_ROW_BYTES(4)

struct cotref {
    uint8_t v[128][COTREF_ROW];
    uint8_t u[16][COTREF_ROW];
    uint8_t chi[QR_COT_BITS(4) / 8];
    uint8_t combined[128][16], x[16], h[32];
};

/* u, v, chi and combined; bits[g] is the beta' of group g, an honest Bob uses one. */
void cotref_bob(struct cotref *f, struct qr_aes *aes, const uint8_t rsid[static 32],
                const struct qr_sec16 (*seed)[256], const uint8_t *const bits[16]);
/* x~, T~_i or what else is combined so: a row of m + 1 blocks. */
void cotref_combine(const struct cotref *f, const uint8_t *row, uint8_t ret[static 16]);
/* h from combined. */
void cotref_hash(struct cotref *f, const uint8_t rsid[static 32]);
/* u, x and h, QR_COT_LEN(4) bytes. */
void cotref_message(const struct cotref *f, uint8_t *out);
/*
 * The whole message of the best attack: beta' ^ e in group g, and h_T as it must be if Delta_g is
 * `guess`. C1 passes for that Delta_g and for no other.
 */
void cotref_cheat(struct cotref *f, struct qr_aes *aes, const uint8_t rsid[static 32],
                  const struct qr_sec16 (*seed)[256], const uint8_t *beta, size_t g,
                  const uint8_t *e, unsigned guess, uint8_t *out);

#endif
