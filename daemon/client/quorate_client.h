/*
 * quorate_client: asks a quorum for signatures, as a C library for programs of one's own.
 *
 * What: a client of one roster. It writes requests of every kind, stamps them with a key of one's own,
 *       sends them to gateways in turn, checks that the key is the quorum's (n confirmations of the
 *       roster's identities) and that what comes back are signatures of exactly what was asked. It is the
 *       code of `quorate sign`.
 * Trust: the roster that is given, and nobody else. A gateway can refuse service and nothing more.
 * Link: -lquorate-client; it needs libsecp256k1, libsodium, libcrypto, libssl and libjansson. It opens
 *       connections to the gateways and no others, reads the clock and the system's generator, and nothing of the
 *       environment.
 * ABI:  handles are opaque; functions are added and never changed within soname 1. Names begin with
 *       quorate_client_ or quorate_job_; nothing else is exported.
 * Text is NUL-terminated and belongs to the handle it came from. err (err_cap bytes, may be NULL with 0) gets
 * a sentence. Thread rules: a client may be used by several threads at once after it was set up; a job belongs
 * to one at a time.
 * Order of use: client, its key, job, items, stamp, send; see example/sign.c.
 */
#ifndef QUORATE_CLIENT_H
#define QUORATE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; quorate_client_version() is that of the library that runs. */
#define QUORATE_CLIENT_VERSION 1u
unsigned quorate_client_version(void);

enum quorate_client_status {
    QUORATE_CLIENT_DONE = 0,
    QUORATE_CLIENT_BAD_REQUEST = 1, /* a wrong argument, or a request that no party understands */
    QUORATE_CLIENT_INTERNAL = 2,
    QUORATE_CLIENT_TEMPORARY =
        3, /* nobody could be asked, or not now: the same job may be sent again */
    QUORATE_CLIENT_REFUSED = 4,   /* judged and refused: quorate_job_code tells by what */
    QUORATE_CLIENT_UNTRUSTED = 5, /* a gateway said what is not so */
};

struct quorate_client;
struct quorate_job;

/* ---- a client ---- */

/*
 * gateways: "https://gw1:8443,https://gw2:8443", up to 16. roster: the document's text. NULL on failure.
 */
struct quorate_client *quorate_client_new(const char *gateways, const void *roster, size_t len,
                                          char *err, size_t err_cap);
/* The key that stamps, whose public half is in the policy: a PEM file that nobody else may read. */
enum quorate_client_status quorate_client_key_file(struct quorate_client *c, const char *path,
                                                   char *err, size_t err_cap);
/* PEM roots for https instead of the system's. */
enum quorate_client_status quorate_client_ca_file(struct quorate_client *c, const char *path);
/*
 * Is told what happens, by the thread that sends: "asks_key", "sends", "failed" (text says why), "next",
 * "signed", each with the gateway.
 */
void quorate_client_progress(struct quorate_client *c,
                             void (*fn)(void *ctx, const char *step, const char *gateway,
                                        const char *text),
                             void *ctx);
void quorate_client_free(struct quorate_client *c);

/* ---- a request ---- */

/* key: 66 hex digits. The client outlives its jobs. NULL: a wrong key, or no memory. */
struct quorate_job *quorate_job_new(struct quorate_client *c, const char *key);
/* A BIP32 child, non-hardened: "0/5". */
enum quorate_client_status quorate_job_path(struct quorate_job *j, const char *path);
/* How long it may be answered: 1 to 86400 s (120). Above 300 only where a rule asks for approvals. */
enum quorate_client_status quorate_job_life(struct quorate_job *j, unsigned seconds);
/*
 * One item, copied: kind "sha256", "sha256d", "keccak256", "eip191", "eip712", "eth_tx" with its preimage, or
 * "digest" with 32 bytes. Up to 64.
 */
enum quorate_client_status quorate_job_add(struct quorate_job *j, const char *kind,
                                           const void *bytes, size_t len);
/* What one input of a Bitcoin transaction spends; scripts that are not there have length 0. */
struct quorate_prevout {
    uint64_t sat;
    const void *script, *redeem, *witness;
    size_t script_len, redeem_len, witness_len;
};
/*
 * One input of an unsigned Bitcoin transaction, copied: kind "btc_bip143" or "btc_legacy"; as many prevouts
 * as inputs.
 */
enum quorate_client_status quorate_job_add_btc(struct quorate_job *j, const char *kind,
                                               const void *tx, size_t len, unsigned input,
                                               const struct quorate_prevout *prevouts, size_t n);
/* Writes and stamps the body; nothing can be added any more. */
enum quorate_client_status quorate_job_stamp(struct quorate_job *j, char *err, size_t err_cap);
/* The exact bytes (no NUL behind them) and their stamp, for approvers; and the hash that approvals are over. After stamping. */
const char *quorate_job_body(const struct quorate_job *j, size_t *ret_len);
const char *quorate_job_stamp_text(const struct quorate_job *j);
enum quorate_client_status quorate_job_hash(const struct quorate_job *j, uint8_t ret[32]);
/* An approver's consent, copied; up to 7. */
enum quorate_client_status quorate_job_approve(struct quorate_job *j, const char *approval);
/* Has it signed. DONE: all signatures are there and verified. */
enum quorate_client_status quorate_job_send(struct quorate_job *j, char *err, size_t err_cap);
void quorate_job_free(struct quorate_job *j);

/* ---- what came of it ---- */

/* The gateway's code ("policy_denied"), and the rule that refused; "" when there is none. */
const char *quorate_job_code(const struct quorate_job *j);
const char *quorate_job_rule(const struct quorate_job *j);
/* After DONE: how many signatures; each as r || s (s low) and its recovery id; the key they are under. */
size_t quorate_job_count(const struct quorate_job *j);
enum quorate_client_status quorate_job_signature(const struct quorate_job *j, size_t i,
                                                 uint8_t ret_rs[64], unsigned *ret_recid);
/* The same in DER: at most 72 bytes. */
enum quorate_client_status quorate_job_der(const struct quorate_job *j, size_t i, uint8_t ret[72],
                                           size_t *ret_len);
enum quorate_client_status quorate_job_public_key(const struct quorate_job *j, uint8_t ret[33]);
/*
 * The receipt: JSON without a NUL behind it, that belongs to the job; waits up to 10 s. NULL: err says why. It is not judged:
 * `quorate receipt verify` does, with the policy and the measurements.
 */
const char *quorate_job_receipt(struct quorate_job *j, size_t *ret_len, char *err, size_t err_cap);

#ifdef __cplusplus
}
#endif

#endif
