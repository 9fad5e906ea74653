/*
 * qr_tee_base: what back ends over real devices have in common.
 *
 * What: the sealing secret and its use, the TPM if there is one, vendors' documents, the boot log, and
 *       the words for what failed last; the functions of qr_tee that follow from these.
 * Use: a back end's context begins with one. qr_tee_base_open, then its own devices, then
 *       qr_tee_base_secret and qr_tee_base_table, then what is its own: platform, profile, evidence, needs, collateral, free.
 * Thread rules: single-threaded.
 */
#ifndef QR_TEE_BASE_H
#define QR_TEE_BASE_H

#include "enclave-shim/tee_coll.h"
#include "enclave-shim/tee_root.h"
#include "enclave-shim/tsm/bootlog.h"

#define QR_TEE_PATIENCE_MS 5000u
#define QR_TEE_TPM_PATH "/dev/tpmrm0"

struct qr_tee_base {
    struct qr_sealroot *root; /* locked memory */
    int kept;                 /* the secret outlives the process */
    struct qr_tpm *tpm;       /* NULL: none */
    uint64_t release;         /* of the statement, 0: none */
    struct qr_tee_coll coll;
    enum qr_part log_part; /* NONE: no log */
    struct qr_dbuf log;
    char why[512];
};

enum qr_tee_base_tpm { QR_TEE_NO_TPM, QR_TEE_MAY_TPM, QR_TEE_MUST_TPM };

/*
 * Opens the TPM (MAY: if o->tpm is given) and the log. On errors nothing stays open. Errors as
 * qr_tpm_open, qr_bootlog_read.
 */
qr_err QR_MUST qr_tee_base_open(struct qr_tee_base *b, const struct qr_tee_opts *o,
                                enum qr_tee_base_tpm tpm, enum qr_bootlog_kind log, char *err_text,
                                size_t err_cap);
/*
 * The attestation key, for which evidence vouches, vouches for the TPM that our secret will cross to.
 * Errors as qr_tpm_vouch.
 */
qr_err QR_MUST qr_tee_base_vouch(struct qr_tee_base *b, const struct qr_tpm_key *ak, char *err_text,
                                 size_t err_cap);
/*
 * Then the sealing secret. name: static, the platform's word. Errors as qr_tee_root_open. After an
 * error the caller closes.
 */
qr_err QR_MUST qr_tee_base_secret(struct qr_tee_base *b, const struct qr_tee_opts *o,
                                  const char *name, char *err_text, size_t err_cap);
/* Takes a zeroed one. */
void qr_tee_base_close(struct qr_tee_base *b);

/* seal, unseal, derive, random, revoke (with a TPM), why. t->ctx is the struct that begins with b. */
void qr_tee_base_table(const struct qr_tee_base *b, struct qr_tee *t);

/* Sets the words and returns e. */
qr_err qr_tee_base_fail(struct qr_tee_base *b, qr_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Documents and log into the evidence, the log last and only where there is room; then the wire form. */
qr_err QR_MUST qr_tee_base_finish(struct qr_tee_base *b, struct qr_evidence *e, struct qr_buf *out);

/* The host's delivery to the one of `sources` (NULL-terminated) that it is for. PLATFORM: none. */
qr_err QR_MUST qr_tee_base_collateral(struct qr_tee_base *b,
                                      const struct qr_tee_source *const *sources, qr_view source,
                                      const struct qr_tee_piece *piece, size_t n);

/* A TPM's quote over a binder, as evidence has it. */
struct qr_tee_quote {
    struct qr_tpm_quote q;
    size_t values_len;
    uint8_t values[QR_TPM_PCRS * 32];
};
/* mask 0: all PCRs. Views into *qt, which must live until the evidence is encoded. PLATFORM. */
qr_err QR_MUST qr_tee_base_quote(struct qr_tee_base *b, const struct qr_tpm_key *k, uint32_t mask,
                                 const uint8_t binder[static 32], struct qr_tee_quote *qt,
                                 struct qr_evidence *e);

/*
 * CA certificates of an attestation key from a PEM file: the self-signed one is the root, others are
 * intermediates, at most 4. path NULL or "": nothing. PLATFORM, NO_MEMORY.
 */
qr_err QR_MUST qr_tee_base_ak_chain(struct qr_tee_base *b, const char *path, char *err_text,
                                    size_t err_cap);

/* The needs' JSON in the making. Text is ours: words, numbers and hex. */
struct qr_tee_needs {
    struct qr_dbuf *out;
    size_t n;
    qr_err e;
};
struct qr_tee_needs qr_tee_needs_begin(struct qr_dbuf *out);
void qr_tee_needs_add(struct qr_tee_needs *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
qr_err QR_MUST qr_tee_needs_end(struct qr_tee_needs *n);

#endif
