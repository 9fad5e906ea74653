/*
 * qr_eventlog: what firmware wrote down while it measured, replayed to the measured registers.
 *
 * What: the TCG crypto-agile log (TCG_PCR_EVENT, then TCG_PCR_EVENT2) of a TPM, and the same format
 *       in the CCEL table of a TD (register 0 is MRTD, 1..4 are RTMR0..3).
 * Why: a register's value changes with every update; the log says which events made it, and whether
 *      secure boot was on. A log alone proves nothing: it must replay to registers that were signed.
 * Invariants: bounded by what is there, no allocation; an event's text counts only when its digest
 *             in a replayed bank is the text's hash, and its type not even then: separators are
 *             known by their digest. PCRs 0..7 belong to the firmware and must replay to their
 *             quoted values; later ones, and RTMR3, may have been extended after the log ended, and
 *             a claim says whether they match.
 * Source: TCG PC Client Platform Firmware Profile 1.05, chapters 9 and 10; UEFI 2.10 section 38.
 */
#ifndef QR_EVENTLOG_H
#define QR_EVENTLOG_H

#include "enclave-shim/verify/verify_int.h"

#define QR_LOG_REGISTERS 24u
#define QR_LOG_ALGS 8u /* banks a log may carry */

struct qr_log_alg {
    uint16_t tpm; /* TPM_ALG_ID */
    uint16_t len;
};

struct qr_log {
    qr_view text;
    size_t pos;
    uint32_t last_register; /* the highest that the format knows */
    size_t n_algs;
    struct qr_log_alg alg[QR_LOG_ALGS];
    qr_view digest[QR_LOG_ALGS]; /* of the event that was read last; p NULL: it has none */
};

struct qr_log_event {
    uint32_t reg, type;
    qr_view data;
};

/* Reads the head. Fails EVENT_LOG with MALFORMED or UNSUPPORTED. */
qr_err QR_MUST qr_log_open(struct qr_log *l, qr_view text, uint32_t last_register,
                           struct qr_verdict *v);
/* 1: an event; 0: the end, or a failure of v (padding of one byte value ends a log). */
int qr_log_next(struct qr_log *l, struct qr_verdict *v, struct qr_log_event *ret);

/* A bank of a TPM whose values are signed. */
struct qr_pcr_bank {
    enum qr_hash_alg alg;
    uint32_t selected;  /* bit i: PCR i */
    qr_view values;     /* of the selected ones, ascending */
    const char *prefix; /* of claims */
};
/*
 * The TCG_LOG item replayed to the banks (at most QR_LOG_ALGS of them); records EVENT_LOG, and claims
 * event_log_replay_matches.N for each bank, event_log.events, event_log.secure_boot.
 */
qr_err QR_MUST qr_tcg_log_part(struct qr_verify_run *r, const struct qr_pcr_bank *bank, size_t n);

#endif
