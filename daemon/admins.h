/*
 * The administrator set: who may sign rosters, policies and commands, and how many must.
 *
 * What: {"need":m,"keys":[{"name","scheme","key"}...]}, its hash, the check of m stamps over exact
 *       bytes, and the rule by which serials rise.
 * Why: the set's hash is part of every key record and of every DKG transcript; a set is replaced
 *      only by the signatures of the one in force.
 * Invariants: names and keys are unique; 1 <= need <= n; one administrator counts once, however
 *      many stamps carry its key. The hash covers need and the keys in ascending order of
 *      (scheme, bytes), not the names:
 *      TH("admins"; u16 need, u16 n, {one field per key: u8 scheme || bytes}).
 * Thread rules: single-threaded (public keys are used in verification).
 */
#ifndef QR_ADMINS_H
#define QR_ADMINS_H

#include "daemon/stamp.h"
#include "proto/json_strict.h"

struct qr_administrator {
    char name[QR_NAME_MAX];
    struct qr_stamp_key key;
    struct qr_pubkey *pub;
};

struct qr_admins {
    unsigned need;
    size_t n;
    struct qr_administrator who[QR_ADMINS_MAX]; /* ascending by key */
    uint8_t hash[32];
};

/*
 * Reads {"name","scheme","key"}: an administrator, or a client of a policy. Errors as
 * qr_json_fields, POINT, NO_MEMORY. *ret_pub is the caller's.
 */
qr_err QR_MUST qr_signer_read(const struct qr_json_at *at, char ret_name[static QR_NAME_MAX],
                              struct qr_stamp_key *ret_key, struct qr_pubkey **ret_pub);

/* Reads the object at `at`. Errors as qr_json_fields, and POINT. On success call qr_admins_clear. */
qr_err QR_MUST qr_admins_read(const struct qr_json_at *at, struct qr_admins *ret);
/* Takes a zeroed set, too. */
void qr_admins_clear(struct qr_admins *a);

/*
 * OK when at least `need` different administrators stamped exactly `doc`. Stamps by keys outside
 * the set are passed over (a roster that changes the set may carry both sets' stamps); a stamp of
 * an administrator that does not verify refuses the document. Errors: ADMIN (too few; the text
 * says who signed and how many are missing), STAMP_INVALID (names whose), STAMP_MISSING (none at
 * all), TOO_LARGE (more than QR_ADMINS_MAX).
 */
qr_err QR_MUST qr_admins_verify(const struct qr_admins *a, qr_view doc, const qr_view *stamps,
                                size_t n_stamps, char *err_text, size_t err_cap);

/*
 * The serial rule for rosters and policies. *ret_same = 1: the very document in force, nothing to
 * do. QR_ERR_SERIAL: a lower serial, or this serial with other bytes.
 */
qr_err QR_MUST qr_serial_check(const char *what, uint64_t have, const uint8_t have_hash[static 32],
                               uint64_t next, const uint8_t next_hash[static 32], int *ret_same,
                               char *err_text, size_t err_cap);

/* TH("doc"; kind, bytes): the hash of a "roster", "policy" or "command". */
void qr_doc_hash(const char *kind, qr_view doc, uint8_t ret[static 32]);

#endif
