/*
 * qr_zip: zstd for the few things it helps.
 *
 * What: one compressor and one decompressor, reused. Which message types are worth trying, and
 *       packing that gives up when nothing is gained.
 * Why: protocol payload is uniformly random, so trying costs CPU and gains nothing; requests,
 *      control messages and evidence are text and certificates.
 *      Every message is packed by itself: a batch that shared one compression context would let a
 *      client that watches the wire guess another client's request by the length of its own.
 * Invariants: the unpacked size is known and bounded before memory is taken; exactly one zstd frame,
 *             nothing behind it.
 * Thread rules: one thread at a time per object.
 */
#ifndef QR_ZIP_H
#define QR_ZIP_H

#include "protocol/base/err.h"
#include "protocol/base/msg_t.h"
#include "protocol/base/view.h"

struct qr_zip;

/* level 0: nothing is packed, but what peers packed is still unpacked. NULL when out of memory. */
struct qr_zip *qr_zip_new(int level);
/* Takes NULL; returns NULL. */
struct qr_zip *qr_zip_free(struct qr_zip *z);

/* 1 if messages of this type may be packed at all; a packed one of another type is refused. */
int qr_zip_helps(enum qr_msg type);

/* Packs into out, which has in.len bytes; 0 when off or when the result would not be smaller. */
size_t qr_zip_pack(struct qr_zip *z, qr_view in, uint8_t *out);

/* The unpacked size, 1..max. MALFORMED, TOO_LARGE. */
qr_err QR_MUST qr_zip_size(qr_view in, size_t max, size_t *ret_len);
/* Exactly len bytes, as qr_zip_size said. MALFORMED. */
qr_err QR_MUST qr_zip_unpack(struct qr_zip *z, qr_view in, uint8_t *out, size_t len);

#endif
