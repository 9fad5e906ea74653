/*
 * quorate_verify: the evidence verifier as a C library for wallets and other clients.
 *
 * What: judges evidence of AWS Nitro Enclaves, AMD SEV-SNP, Intel TDX and SGX, TPM 2.0, Azure and
 *       Google confidential VMs, offline: evidence, collateral, a policy, what was asked for and the
 *       time go in; a verdict that explains itself comes out. It is the code by which parties of a
 *       quorum judge each other.
 * Link: -lquorate-verify; it needs libcrypto, libcbor, libjansson and nothing else. It does no I/O,
 *       reads no clock, and keeps no state between calls but in the handles below.
 * ABI:  handles are opaque; functions are added and never changed within soname 1. Names begin with
 *       quorate_; nothing else is exported.
 * Text is NUL-terminated UTF-8 and belongs to the handle it came from. NULL as a handle is refused or,
 * by the _free functions, ignored. Thread rules: a handle belongs to one thread at a time; a policy
 * and roots that are complete may be read by any number of them.
 * Order of use: policy, evidence, request, verdict; see example/wallet.c.
 */
#ifndef QUORATE_VERIFY_H
#define QUORATE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; quorate_verify_version() is that of the library that runs. */
#define QUORATE_VERIFY_VERSION 1u
unsigned quorate_verify_version(void);

enum quorate_status {
    QUORATE_OK = 0,
    QUORATE_MALFORMED = 1, /* bad argument, bad document, a piece that is there already */
    QUORATE_TOO_LARGE = 2,
    QUORATE_NO_MEMORY = 3,
    QUORATE_REFUSED = 4, /* well-formed, and not believed */
};

struct quorate_policy;
struct quorate_roots;
struct quorate_memory;
struct quorate_evidence;
struct quorate_request;
struct quorate_verdict;

/* ---- what must hold ---- */

/*
 * Reads a policy document, of which only `peers` matters here and whose signatures are not checked, or
 * the `peers` object alone: at most 256 KiB. NULL on failure, with line, member and cause in err
 * (err_cap bytes, may be NULL with 0).
 */
struct quorate_policy *quorate_policy_read(const void *text, size_t len, char *err, size_t err_cap);
/*
 * A release's measurement manifest, with its detached signatures (a line each; NULL with 0: none).
 * QUORATE_REFUSED: the policy names neither its hash nor enough of its signers.
 */
enum quorate_status quorate_policy_add_manifest(struct quorate_policy *p, const void *text,
                                                size_t len, const void *signatures,
                                                size_t signatures_len, char *err, size_t err_cap);
void quorate_policy_free(struct quorate_policy *p);

/*
 * Roots other than the built-in ones, for test hierarchies or a narrower choice. A new table is empty
 * and believes nobody. vendor: "aws-nitro", "amd-milan", "amd-genoa", "amd-turin", "intel",
 * "google-vtpm", "microsoft-vtpm", "confidential-space"; sha256: of the root certificate's DER. At
 * most four a vendor.
 */
struct quorate_roots *quorate_roots_new(void);
enum quorate_status quorate_roots_pin(struct quorate_roots *r, const char *vendor,
                                      const uint8_t sha256[32]);
void quorate_roots_free(struct quorate_roots *r);

/* What collateral was seen, so that older issues of it are refused; lives as long as the caller likes. */
struct quorate_memory *quorate_memory_new(void);
void quorate_memory_free(struct quorate_memory *m);

/* ---- what is judged ---- */

/*
 * Evidence of a platform ("aws-nitro", "amd-sev-snp", "intel-tdx", "intel-sgx", "tpm2",
 * "azure-snp-vtpm", "azure-tdx-vtpm", "gcp-snp-vtpm", "gcp-tdx-vtpm", "gcp-ak-cert", "azure-maa",
 * "gcp-confidential-space"); NULL: unknown, or no memory.
 */
struct quorate_evidence *quorate_evidence_new(const char *platform);
/* The encoded form ("QREV...") that a party sends. NULL: malformed, or no memory. */
struct quorate_evidence *quorate_evidence_read(const void *bytes, size_t len);
/*
 * One piece, copied. Names of pieces are those of README.md ("report.bin", "vek.der"); slot is 0, or
 * the bank of a TPM's quote, signature and values: 1 SHA-1, 2 SHA-256, 3 SHA-384.
 */
enum quorate_status quorate_evidence_add(struct quorate_evidence *e, const char *piece,
                                         unsigned slot, const void *bytes, size_t len);
/* Verdicts keep what they need of it. */
void quorate_evidence_free(struct quorate_evidence *e);

/* ---- how ---- */

/*
 * A new request knows no time, no binder and no policy. What is set by pointer (policy, roots, memory)
 * must outlive the request; NULL takes it back.
 */
struct quorate_request *quorate_request_new(void);
void quorate_request_set_policy(struct quorate_request *r, const struct quorate_policy *p);
void quorate_request_set_roots(struct quorate_request *r, const struct quorate_roots *roots);
/* Verdicts that accept add to the memory. */
void quorate_request_set_memory(struct quorate_request *r, struct quorate_memory *m);
/* Unix milliseconds; the caller's own clock, not the prover's. Below 0: unknown, no date is checked. */
void quorate_request_set_time(struct quorate_request *r, int64_t now_ms);
/*
 * What the evidence must commit to: the nonce that was sent, or quorate_client_binder's result. 1 to 64
 * bytes; a longer user field must be zero behind them.
 */
enum quorate_status quorate_request_set_binder(struct quorate_request *r, const void *bytes,
                                               size_t len);
/* The aud of a token, at most 255 bytes. */
enum quorate_status quorate_request_set_audience(struct quorate_request *r, const char *text);
/* The roster's words for a member: its index from 1, its declared cloud and operator ("": none). */
enum quorate_status quorate_request_set_member(struct quorate_request *r, unsigned index,
                                               const char *cloud, const char *operator_name);
void quorate_request_free(struct quorate_request *r);

/*
 * SHA-256("quorate/client-evidence/v1" || nonce || identity key || policy hash || roster hash || boot
 * nonce): what a party's evidence for clients commits to. Each is 32 bytes.
 */
enum quorate_status quorate_client_binder(const uint8_t nonce[32], const uint8_t identity[32],
                                          const uint8_t policy_hash[32],
                                          const uint8_t roster_hash[32],
                                          const uint8_t boot_nonce[32], uint8_t ret[32]);

/* ---- what was found ---- */

/* NULL: no memory, or a NULL argument. The request and the evidence are as they were. */
struct quorate_verdict *quorate_verify(const struct quorate_evidence *e,
                                       const struct quorate_request *r);
/*
 * 1: genuine, by a time that was given, committing to a binder that was given, and all that the policy
 * that was given wants. 0 if any of these is missing. This is the question a wallet has.
 */
int quorate_verdict_accepted(const struct quorate_verdict *v);
/* 1: genuine, whatever it says: a debug enclave's evidence is. Not enough to trust what runs there. */
int quorate_verdict_genuine(const struct quorate_verdict *v);
/* "none", or one of the words of README.md ("signature", "measurement", "binder", ...). */
const char *quorate_verdict_reason(const struct quorate_verdict *v);
/* Why, for people: what was expected, what was found. "" when accepted. */
const char *quorate_verdict_sentence(const struct quorate_verdict *v);
/* A check by its name ("chain", "debug"): 1 passed, 0 failed, -1 not made, -2 there is none such. */
int quorate_verdict_check(const struct quorate_verdict *v, const char *name);
/*
 * A claim of bytes by its path ("pcrs.0", "public_key", "measurement"). 1, and where it lies until the
 * verdict is freed; 0: absent, or of another type. Claims of evidence that is not genuine are lies.
 */
int quorate_verdict_bytes(const struct quorate_verdict *v, const char *path, const uint8_t **ret,
                          size_t *ret_len);
/* All of it as one JSON object: platform, verdict, accepted, reason, sentence, checks, claims. */
const char *quorate_verdict_json(const struct quorate_verdict *v);
void quorate_verdict_free(struct quorate_verdict *v);

/*
 * Do these members together keep the policy's limits per cloud, operator, vendor and product line? All
 * verdicts must be accepted, of that policy, and of members with distinct indices. REFUSED: err tells.
 */
enum quorate_status quorate_quorum(const struct quorate_policy *p,
                                   const struct quorate_verdict *const *v, size_t n, char *err,
                                   size_t err_cap);

#ifdef __cplusplus
}
#endif

#endif
