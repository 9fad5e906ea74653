/*
 * qr_evidence: what is judged: a platform and up to QR_ITEMS_OF_EVIDENCE labelled pieces of bytes.
 *
 * What: report, certificates, collateral, event logs, each under its part, as they came. Views only.
 * Why: everything a verdict depends on is in here or in the options; nothing is fetched.
 * Invariants: a (part, slot) pair occurs once; lengths are bounded by parts.def before any parsing;
 *             nothing in here is trusted, roots included: those are pinned by fingerprint.
 * Wire form (`qr_evidence_encode`): "QREV" u8 version(1) u8 kind u16 count, then count times
 *             u8 part u8 slot u32 length bytes, ascending by (part, slot); big-endian; canonical.
 */
#ifndef QR_EVIDENCE_H
#define QR_EVIDENCE_H

#include "protocol/base/buf.h"

/* Folder names of the published cases; also on the wire and in policies. */
enum qr_evidence_kind {
    QR_EV_NONE,
#define QR_K(name, value, text) QR_EV_##name = (value),
#include "enclave-shim/verify/kinds.def"
#undef QR_K
};

enum qr_part {
    QR_PART_NONE,
#define QR_PART(name, value, max, text) QR_PART_##name = (value),
#include "enclave-shim/verify/parts.def"
#undef QR_PART
};

#define QR_ITEMS_OF_EVIDENCE 32u
#define QR_EVIDENCE_TOTAL_MAX (256u * 1024u) /* all items together */

struct qr_item {
    enum qr_part part;
    uint8_t slot; /* 0; TPM quotes, signatures and PCR values: 1 SHA-1, 2 SHA-256, 3 SHA-384 bank */
    qr_view bytes;
};

struct qr_evidence {
    enum qr_evidence_kind kind;
    size_t n;
    struct qr_item item[QR_ITEMS_OF_EVIDENCE]; /* ascending by (part, slot) */
};

/* TOO_LARGE (item, count or total), MALFORMED (the pair is there already, unknown part, empty). */
qr_err QR_MUST qr_evidence_add(struct qr_evidence *e, enum qr_part part, uint8_t slot, qr_view v);
/* An empty view with p == NULL when it is absent. */
qr_view qr_evidence_get(const struct qr_evidence *e, enum qr_part part);
qr_view qr_evidence_get_slot(const struct qr_evidence *e, enum qr_part part, uint8_t slot);

/* Appends; the buffer's sticky error says when it does not fit. */
void qr_evidence_encode(const struct qr_evidence *e, struct qr_buf *out);
/* Views into `wire`. MALFORMED, TRAILING, TOO_LARGE, VERSION. */
qr_err QR_MUST qr_evidence_decode(qr_view wire, struct qr_evidence *ret);

const char *qr_evidence_kind_name(enum qr_evidence_kind k);   /* "aws-nitro"; "unknown" */
enum qr_evidence_kind qr_evidence_kind_by_name(qr_view name); /* QR_EV_NONE: there is none */
const char *qr_part_name(enum qr_part r);
size_t qr_part_max(enum qr_part r);

#endif
