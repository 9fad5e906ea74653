/*
 * Planted errors on the side of the C sources: test_planted.py links this file between the protocol
 * machines and the functions they call (the linker's --wrap) and runs the frozen transcripts once
 * for each error; every one must be caught.
 *
 * QUORATE_PLANT names the error: "tag TEXT" (all parties hash under another tag) or one of the names
 * below; "list" prints those. Without it everything passes through unchanged. This file is part of
 * no product binary and of no other test.
 */
#include "protocol/base/hash.h"
#include "protocol/bitmat.h"
#include "protocol/derive.h"
#include "protocol/gf128.h"
#include "protocol/poly.h"
#include "protocol/rvole.h"
#include "protocol/zero.h"

#include <stdio.h>
#include <stdlib.h>

/* F(return type, name, parameters, error's name) */
#define WRAPPED(F)                                                                                 \
    F(void, qr_fq_reduce64, (qr_fq * ret, const uint8_t in[64]), "scalars drawn little-endian")    \
    F(void, qr_gf128_combine,                                                                      \
      (uint8_t ret[16], const uint8_t *chi, const uint8_t *x, size_t stride, size_t m,             \
       const uint8_t last[16]),                                                                    \
      "first challenge for all blocks")                                                            \
    F(void, qr_bitmat_transpose, (uint8_t * blocks, size_t n), "rows and columns swapped")         \
    F(void, qr_gadget, (const uint8_t rsid[32], qr_fq g[QR_XI]), "gadget shifted by one")          \
    F(void, qr_rvole_mask, (const qr_fq g[QR_XI], const uint8_t *beta, uint16_t k, qr_fq *ret_b),  \
      "mask with the other sign")                                                                  \
    F(void, qr_zero_share,                                                                         \
      (const struct qr_sec32 *const *z, const uint16_t *S, size_t t, uint16_t self,                \
       const uint8_t sid[32], uint16_t idx, qr_fq *ret),                                           \
      "zero shares with the other sign")                                                           \
    F(void, qr_poly_eval, (const qr_fq *coef, size_t t, uint16_t x, qr_fq *ret),                   \
      "shares at x + 1")                                                                           \
    F(qr_err, qr_derive,                                                                           \
      (const qr_pt *pk, const uint8_t cc[32], const uint32_t *path, size_t depth, qr_pt *child,    \
       qr_fq *tau, uint8_t *ret_cc),                                                               \
      "path one step short")

#define DECLARE(type, name, params, error)                                                         \
    type __real_##name params;                                                                     \
    type __wrap_##name params;
WRAPPED(DECLARE)
void __real_qr_th(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[32]);
void __wrap_qr_th(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[32]);
void __real_qr_tb(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[64]);
void __wrap_qr_tb(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[64]);
void __real_qr_tx(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t len);
void __wrap_qr_tx(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t len);
size_t __real_qr_enc(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t cap);
size_t __wrap_qr_enc(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t cap);

static int
planted(const char *error)
{
    const char *p = getenv("QUORATE_PLANT");
    return p != NULL && strcmp(p, error) == 0;
}

__attribute__((constructor)) static void
list(void)
{
#define PRINT(type, name, params, error) puts(error);
    if (planted("list")) {
        WRAPPED(PRINT)
        exit(0);
    }
}

/* The tag, or its neighbour in tags.def if it is the planted one. */
static enum qr_tag
tag_of(enum qr_tag tag)
{
    const char *p = getenv("QUORATE_PLANT");
    if (p == NULL || strncmp(p, "tag ", 4) != 0 || strcmp(p + 4, qr_tag_text(tag)) != 0)
        return tag;
    return (enum qr_tag)(((unsigned)tag + 1u) % QR_TAG_COUNT);
}

void
__wrap_qr_th(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[32])
{
    __real_qr_th(tag_of(tag), f, m, out);
}

void
__wrap_qr_tb(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[64])
{
    __real_qr_tb(tag_of(tag), f, m, out);
}

void
__wrap_qr_tx(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t len)
{
    __real_qr_tx(tag_of(tag), f, m, out, len);
}

size_t
__wrap_qr_enc(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t cap)
{
    return __real_qr_enc(tag_of(tag), f, m, out, cap);
}

void
__wrap_qr_fq_reduce64(qr_fq *ret, const uint8_t in[64])
{
    uint8_t b[64];
    for (size_t i = 0; i < 64; i++)
        b[i] = planted("scalars drawn little-endian") ? in[63 - i] : in[i];
    __real_qr_fq_reduce64(ret, b);
}

void
__wrap_qr_gf128_combine(uint8_t ret[16], const uint8_t *chi, const uint8_t *x, size_t stride,
                        size_t m, const uint8_t last[16])
{
    uint8_t same[16 * 64];
    if (planted("first challenge for all blocks") && 16 * m <= sizeof same) {
        for (size_t k = 0; k < m; k++)
            memcpy(same + 16 * k, chi, 16);
        chi = same;
    }
    __real_qr_gf128_combine(ret, chi, x, stride, m, last);
}

void
__wrap_qr_bitmat_transpose(uint8_t *blocks, size_t n)
{
    if (!planted("rows and columns swapped"))
        __real_qr_bitmat_transpose(blocks, n);
}

void
__wrap_qr_gadget(const uint8_t rsid[32], qr_fq g[QR_XI])
{
    __real_qr_gadget(rsid, g);
    if (planted("gadget shifted by one")) {
        qr_fq first = g[0];
        memmove(g, g + 1, (QR_XI - 1) * sizeof *g);
        g[QR_XI - 1] = first;
    }
}

void
__wrap_qr_rvole_mask(const qr_fq g[QR_XI], const uint8_t *beta, uint16_t k, qr_fq *ret_b)
{
    __real_qr_rvole_mask(g, beta, k, ret_b);
    if (planted("mask with the other sign"))
        qr_fq_neg(ret_b, ret_b);
}

void
__wrap_qr_zero_share(const struct qr_sec32 *const *z, const uint16_t *S, size_t t, uint16_t self,
                     const uint8_t sid[32], uint16_t idx, qr_fq *ret)
{
    __real_qr_zero_share(z, S, t, self, sid, idx, ret);
    if (planted("zero shares with the other sign"))
        qr_fq_neg(ret, ret);
}

void
__wrap_qr_poly_eval(const qr_fq *coef, size_t t, uint16_t x, qr_fq *ret)
{
    __real_qr_poly_eval(coef, t, planted("shares at x + 1") ? (uint16_t)(x + 1) : x, ret);
}

qr_err
__wrap_qr_derive(const qr_pt *pk, const uint8_t cc[32], const uint32_t *path, size_t depth,
                 qr_pt *child, qr_fq *tau, uint8_t *ret_cc)
{
    if (depth > 0 && planted("path one step short"))
        depth--;
    return __real_qr_derive(pk, cc, path, depth, child, tau, ret_cc);
}
