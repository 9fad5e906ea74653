/*
 * ristretto255's functions, with a memory: equal inputs give the result of the first time.
 *
 * The pairs' set-up asks for thousands of them, and a test that plays the same life again and again
 * for the same ones. The table lives as long as the process; when it is full, the rest is computed.
 */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES (1u << 17)

enum op { FROM_HASH = 1, BASE, MULT, ADD, SUB, VALID };

struct entry {
    uint8_t in[64], out[32];
    uint8_t op, rc; /* rc: the result + 1 */
};

static struct entry *table;
static size_t used;

int __real_crypto_core_ristretto255_from_hash(uint8_t *p, const uint8_t *r);
int __real_crypto_scalarmult_ristretto255_base(uint8_t *q, const uint8_t *n);
int __real_crypto_scalarmult_ristretto255(uint8_t *q, const uint8_t *n, const uint8_t *p);
int __real_crypto_core_ristretto255_add(uint8_t *r, const uint8_t *p, const uint8_t *q);
int __real_crypto_core_ristretto255_sub(uint8_t *r, const uint8_t *p, const uint8_t *q);
int __real_crypto_core_ristretto255_is_valid_point(const uint8_t *p);
int __wrap_crypto_core_ristretto255_from_hash(uint8_t *p, const uint8_t *r);
int __wrap_crypto_scalarmult_ristretto255_base(uint8_t *q, const uint8_t *n);
int __wrap_crypto_scalarmult_ristretto255(uint8_t *q, const uint8_t *n, const uint8_t *p);
int __wrap_crypto_core_ristretto255_add(uint8_t *r, const uint8_t *p, const uint8_t *q);
int __wrap_crypto_core_ristretto255_sub(uint8_t *r, const uint8_t *p, const uint8_t *q);
int __wrap_crypto_core_ristretto255_is_valid_point(const uint8_t *p);

static int
compute(enum op op, const uint8_t in[64], uint8_t out[32])
{
    switch (op) {
    case FROM_HASH:
        return __real_crypto_core_ristretto255_from_hash(out, in);
    case BASE:
        return __real_crypto_scalarmult_ristretto255_base(out, in);
    case MULT:
        return __real_crypto_scalarmult_ristretto255(out, in, in + 32);
    case ADD:
        return __real_crypto_core_ristretto255_add(out, in, in + 32);
    case SUB:
        return __real_crypto_core_ristretto255_sub(out, in, in + 32);
    case VALID:
        break;
    }
    return __real_crypto_core_ristretto255_is_valid_point(in);
}

static int
recall(enum op op, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    uint8_t in[64] = {0}, none[32];
    uint64_t h = (uint64_t)op, word = 0;

    memcpy(in, a, op == FROM_HASH ? 64 : 32);
    if (b) {
        memcpy(in + 32, b, 32);
    }
    for (size_t i = 0; i < sizeof in; i += 8) {
        memcpy(&word, in + i, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    if (!table) {
        table = calloc(ENTRIES, sizeof *table);
    }
    size_t i = (size_t)h % ENTRIES;
    for (; table && table[i].op; i = (i + 1) % ENTRIES) {
        if (table[i].op == op && memcmp(table[i].in, in, sizeof in) == 0) {
            if (out) {
                memcpy(out, table[i].out, 32);
            }
            return table[i].rc - 1;
        }
    }
    int rc = compute(op, in, out ? out : none);
    if (table && used < ENTRIES / 4 * 3) {
        used++;
        table[i].op = (uint8_t)op;
        table[i].rc = (uint8_t)(rc + 1);
        memcpy(table[i].in, in, sizeof in);
        if (out) {
            memcpy(table[i].out, out, 32);
        }
    }
    return rc;
}

int
__wrap_crypto_core_ristretto255_from_hash(uint8_t *p, const uint8_t *r)
{
    return recall(FROM_HASH, r, NULL, p);
}

int
__wrap_crypto_scalarmult_ristretto255_base(uint8_t *q, const uint8_t *n)
{
    return recall(BASE, n, NULL, q);
}

int
__wrap_crypto_scalarmult_ristretto255(uint8_t *q, const uint8_t *n, const uint8_t *p)
{
    return recall(MULT, n, p, q);
}

int
__wrap_crypto_core_ristretto255_add(uint8_t *r, const uint8_t *p, const uint8_t *q)
{
    return recall(ADD, p, q, r);
}

int
__wrap_crypto_core_ristretto255_sub(uint8_t *r, const uint8_t *p, const uint8_t *q)
{
    return recall(SUB, p, q, r);
}

int
__wrap_crypto_core_ristretto255_is_valid_point(const uint8_t *p)
{
    return recall(VALID, p, NULL, NULL);
}
