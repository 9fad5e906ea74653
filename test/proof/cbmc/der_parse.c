/*
 * PROVES: signatures as DER. The parser accepts no bytes but those that the encoder writes for the r and
 *         s it returns (so there is one encoding of a signature), none that are too long, no negative
 *         number, and returns nothing with an error; what it reads of a decoder that failed is not used.
 * BOUND:  numbers of 4 bytes instead of 32 (der_integer has those), inputs of exactly 0..18 bytes, all
 *         contents. OpenSSL's decoder is replaced by one that may accept anything and return any r, s:
 *         what is proved does not lean on it.
 * SCALE:  daemon/client/ecsig.c s/skip < 31/skip < 3/;s/n = 32 - skip/n = 4 - skip/;s/rs + 32, out/rs + 4, out/
 * SCALE:  daemon/client/ecsig.c s/rs, 32) == 32/rs, 4) == 4/;s/rs + 32, 32) == 32/rs + 4, 4) == 4/
 * SCALE:  daemon/client/ecsig.c s/rs\[64\], again\[72\]/rs[8], again[16]/;s/ret_rs, rs, 64/ret_rs, rs, 8/
 * CBMC:   --unwind 19
 * BITE:   daemon/client/ecsig.c s/qr_view_eq(qr_view_of(again, qr_ecsig_der(rs, again)), der)/(qr_ecsig_der(rs, again), 1)/
 * BITE:   daemon/client/ecsig.c s/!BN_is_negative(ECDSA_SIG_get0_r(s)) \&\&//
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* One byte after the other: what the checker has for a length that is not fixed is far slower. */
static void *
copy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
    return to;
}
static int
differ(const void *a, const void *b, size_t n)
{
    int d = 0;
    for (size_t i = 0; i < n; i++) {
        d |= ((const uint8_t *)a)[i] ^ ((const uint8_t *)b)[i];
    }
    return d;
}
#define memcpy copy
#define memcmp differ
#include "daemon/client/ecsig.c"

#include "test/proof/cbmc/proof.h"

static struct number {
    uint8_t v[4];
    int negative, fails;
} r, s;
static int freed;

ECDSA_SIG *
d2i_ECDSA_SIG(ECDSA_SIG **sig, const unsigned char **p, long len)
{
    PROVE(!sig && *p && len >= 0 && len <= 16, "bounded before it is decoded");
    return nondet_int() ? (ECDSA_SIG *)(void *)&r : NULL;
}

const BIGNUM *
ECDSA_SIG_get0_r(const ECDSA_SIG *sig)
{
    PROVE(sig != NULL, "decoded");
    return (const BIGNUM *)(const void *)&r;
}

const BIGNUM *
ECDSA_SIG_get0_s(const ECDSA_SIG *sig)
{
    PROVE(sig != NULL, "decoded");
    return (const BIGNUM *)(const void *)&s;
}

int
BN_bn2binpad(const BIGNUM *a, unsigned char *to, int len)
{
    const struct number *n = (const struct number *)(const void *)a;
    PROVE(len == 4, "padded");
    if (n->fails) {
        return -1;
    }
    copy(to, n->v, 4);
    return len;
}

int
BN_is_negative(const BIGNUM *a)
{
    return ((const struct number *)(const void *)a)->negative;
}

void
ECDSA_SIG_free(ECDSA_SIG *sig)
{
    freed += sig != NULL;
}

void
proof(void)
{
    static uint8_t back[8], room[18];
    uint8_t want[16];
    size_t len = any_size(18), k = any_size(17);

    for (size_t i = 0; i < 18; i++) {
        room[i] = nondet_u8();
    }
    for (size_t i = 0; i < 4; i++) {
        r.v[i] = nondet_u8();
        s.v[i] = nondet_u8();
        back[i] = back[i + 4] = 0xa5;
    }
    r.negative = nondet_int();
    s.negative = nondet_int();
    r.fails = nondet_int();
    s.fails = nondet_int();
    const uint8_t *der = room + 18 - len; /* its end is the end of the object */
    if (qr_ecsig_parse(qr_view_of(der, len), back) != QR_OK) {
        PROVE(back[k % 8] == 0xa5, "nothing is returned with an error");
        return;
    }
    PROVE(freed == 1, "what was decoded is freed");
    PROVE(!r.negative && !s.negative && !r.fails && !s.fails, "two numbers that are not negative");
    PROVE(k >= 8 || back[k] == (k < 4 ? r.v[k] : s.v[k - 4]), "the numbers that were decoded");
    size_t n = qr_ecsig_der(back, want);
    PROVE(n == len && len >= 8 && der[0] == 0x30 && der[1] == len - 2, "a SEQUENCE to the end");
    PROVE(k >= len || want[k] == der[k], "and it is the one encoding");
}
