/*
 * The roster: who the n parties are and who administers them.
 *
 * What: {"v":1,"type":"quorate/roster","cluster":"<64 hex>","name":"demo","serial":1,
 *        "parties":[{"index":1,"identity":"<64 hex>","address":"tcp://127.0.0.1:7001",
 *                    "cloud":"local","operator":"demo","tee":"sim"}...],
 *        "admins":{"need":1,"keys":[{"name":"alice","scheme":"p256","key":"<66 hex>"}]}}
 *       signed by m-of-n administrators over the exact bytes. hash = TH("doc"; "roster", bytes).
 * Why: an index means nothing by itself; the roster binds it to an identity key, and its hash is
 *      in every channel, key and key-generation transcript.
 * Invariants: 2 <= n <= QR_MAX_PARTIES, indices are exactly 1..n in this order, identities and
 *      addresses unique; immutable once parsed.
 */
#ifndef QR_ROSTER_H
#define QR_ROSTER_H

#include "daemon/admins.h"
#include "transport/attest_if.h"
#include "transport/link.h"

struct qr_roster_party {
    uint16_t index;
    uint8_t identity[32]; /* Ed25519 */
    char address[QR_ADDRESS_MAX];
    char cloud[QR_NAME_MAX];
    char operator_name[QR_NAME_MAX];
    enum qr_platform platform;
};

struct qr_roster {
    uint8_t cluster[32];
    char name[QR_NAME_MAX];
    uint64_t serial; /* >= 1 */
    size_t n;
    struct qr_roster_party party[QR_MAX_PARTIES]; /* party[i].index == i + 1 */
    struct qr_admins admins;
    uint8_t hash[32];
};

/*
 * Reads a roster; says nothing of who signed it. Errors: as qr_json_parse and qr_json_fields, SET
 * (parties), ADDRESS, POINT (an administrator's key), NO_MEMORY; err_text names the member.
 */
qr_err QR_MUST qr_roster_parse(qr_view text, struct qr_roster **ret, char *err_text,
                               size_t err_cap);
struct qr_roster *qr_roster_free(struct qr_roster *r);

/*
 * May `next` (parsed from text) come into force? in_force == NULL: the first roster; its own
 * administrators must have signed it, and whoever hands it over pins their hash. Otherwise the set
 * in force must have signed, the cluster must be the same, and the serial must rise. *ret_same = 1:
 * it is in force already (stamps are not looked at). Errors: CLUSTER, SERIAL, and qr_admins_verify's.
 */
qr_err QR_MUST qr_roster_accept(const struct qr_roster *in_force, const struct qr_roster *next,
                                qr_view text, const qr_view *stamps, size_t n_stamps, int *ret_same,
                                char *err_text, size_t err_cap);

/*
 * The members that a roster's party and a descriptor share (identity, address, cloud, operator, tee)
 * and the caller's own (at most 6, ends with QR_JSON_END). *ret is zeroed before. Errors as
 * qr_json_fields, ADDRESS, POINT (no Ed25519 key).
 */
qr_err QR_MUST qr_roster_read_party(const struct qr_json_at *at, struct qr_roster_party *ret,
                                    const struct qr_json_field *more);

/* The party with this identity key, or NULL. */
const struct qr_roster_party *qr_roster_find(const struct qr_roster *r,
                                             const uint8_t identity[static 32]);

/* A name of qr_platform_name(): "sim", "aws-nitro" and so on. QR_ERR_MALFORMED. */
qr_err QR_MUST qr_platform_parse(qr_view name, enum qr_platform *ret);
/* QR_ERR_ADDRESS unless transport/address.h reads it and others can dial it (a port is given). */
qr_err QR_MUST qr_address_check(qr_view address);

#endif
