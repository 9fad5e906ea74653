/*
 * Every field of every message between parties, by name.
 *
 * What: for a shape (t, B, items, ...) the list of fields with place, length, kind and what must come
 *       of it when it is changed on its way to one of two honest parties.
 * Why: tests that change "every field" go by this list, and a test proves that it leaves no byte out;
 *      the expected outcome stands beside the field and nowhere else.
 * Source: protocol/SPEC.md for the protocol's messages, daemon/control.h for the others. Written from
 *         these, not from the code.
 */
#ifndef QR_TEST_FIELDS_H
#define QR_TEST_FIELDS_H

#include "protocol/base/err.h"
#include "protocol/base/msg_t.h"

#include <stddef.h>
#include <stdint.h>

enum field_kind {
    FIELD_BYTES,  /* hashes, salts, masks, bits: every value is well formed */
    FIELD_POINT,  /* 33 bytes, secp256k1 */
    FIELD_RPOINT, /* 32 bytes, ristretto255 */
    FIELD_SCALAR, /* 32 bytes, below q */
    FIELD_UINT,   /* big-endian integer */
    FIELD_LEN,    /* length or count of what follows */
};

struct field {
    const char *name;
    enum qr_msg type;
    enum field_kind kind;
    size_t at, len;
    size_t n1, step1, n2, step2; /* repeated n1 times, and each of these n2 times */
    /*
     * A protocol message, changed for one of two honest receivers: its error, with another
     * well-formed value and with one that is none; whether the sender is blamed (1) or nobody (0); the
     * error of the other honest party. CHECK is the error that bans. Zero (OK): not noticed by that
     * machine. Control messages: the decoder's verdict on a field of 0xff; the rest is the daemon's.
     */
    qr_err changed, malformed;
    uint16_t blame;
    qr_err third;
    int sender; /* 1: a well-formed change is noticed by the sender's machine, not the receiver's */
};

struct field_shape {
    uint16_t t, B;
    size_t items, body, stamps, stamp; /* stamps of `stamp` bytes each */
    uint16_t n;                        /* confirmations in KEY_SYNC */
};

#define FIELDS_MAX 120

/* All fields of all messages; returns how many. Fields that the shape leaves empty have n1 = 0. */
size_t fields_of(const struct field_shape *s, struct field out[static FIELDS_MAX]);
/* Length of such a message. */
size_t fields_msg_len(enum qr_msg type, const struct field_shape *s);
/* Place of occurrence (i, j). */
size_t field_at(const struct field *f, size_t i, size_t j);

#endif
