/*
 * What the two halves of the typed-data reader share: the types (preimage_712_types.c) and the values
 * (preimage_712.c).
 */
#ifndef QR_PREIMAGE_712_INT_H
#define QR_PREIMAGE_712_INT_H

#include "daemon/preimage_712.h"
#include "proto/json_strict.h"

#define QR_712_DOMAIN "EIP712Domain"

enum qr_712_base {
    QR_712_BOOL,
    QR_712_ADDRESS,
    QR_712_UINT,   /* arg: bits */
    QR_712_INT,    /* arg: bits */
    QR_712_FIXED,  /* bytesN; arg: bytes */
    QR_712_BYTES,  /* of any length */
    QR_712_STRING, /* UTF-8 */
    QR_712_STRUCT, /* arg: which type */
};

/* A type as a member names it: a base, and dimensions of arrays from the outermost in. */
struct qr_712_ref {
    enum qr_712_base base;
    unsigned arg;
    unsigned n_dims;
    uint32_t dim[QR_712_DEPTH]; /* 0: any length */
};

struct qr_712_member {
    const char *name, *type; /* in the document */
    struct qr_712_ref ref;
};

struct qr_712_type {
    const char *name;
    size_t first, n;   /* its members */
    uint64_t reach;    /* bit i: type i is named by it, or by one that it reaches */
    uint64_t text_len; /* of its own part of encodeType */
    int hashed;
    uint8_t hash[32];
};

struct qr_712_types {
    size_t n;
    struct qr_712_type type[QR_712_TYPES_MAX];
    uint8_t order[QR_712_TYPES_MAX]; /* by name */
    int domain;                      /* the type called EIP712Domain, or -1 */
    size_t n_members;
    struct qr_712_member *member; /* of all types, in a row; the caller frees */
    uint64_t text_left;           /* what may still be hashed of encodeType texts */
};

/*
 * Reads the object `types` of a document that stays where it is. *ret is zeroed by the caller, who frees
 * ret->member whatever happens. Errors of qr_json_fields, PREIMAGE, NO_MEMORY, explained through `at`.
 */
qr_err QR_MUST qr_712_types_read(const struct qr_json_at *at, struct qr_712_types *ret);
/* The type of this name, or -1. */
int qr_712_type_find(const struct qr_712_types *t, qr_view name);
/* hashType of type i; computed once. PREIMAGE: the texts of all types used are too long together. */
qr_err QR_MUST qr_712_type_hash(struct qr_712_types *t, size_t i, const uint8_t **ret);

#endif
