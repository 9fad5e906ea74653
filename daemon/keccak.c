/*
 * Keccak-f[1600] with 24 rounds; theta, rho and pi, chi, iota as the reference names them. Lanes are
 * little-endian; the rotations and the lane order of rho and pi are walked as one cycle.
 */
#include "daemon/keccak.h"

#define RATE 136u /* bytes: (1600 - 2 * 256) / 8 */

static const uint64_t round_constants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

static const uint8_t rotations[24] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                      27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
static const uint8_t lanes[24] = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                  15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};

static uint64_t
rotate(uint64_t x, unsigned n)
{
    return (x << n) | (x >> (64 - n)); /* n is 1..62 */
}

static void
permute(uint64_t a[25])
{
    for (size_t r = 0; r < 24; r++) {
        uint64_t c[5], t;
        for (size_t x = 0; x < 5; x++) {
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        }
        for (size_t x = 0; x < 5; x++) {
            t = c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1);
            for (size_t y = 0; y < 25; y += 5) {
                a[y + x] ^= t;
            }
        }
        t = a[1];
        for (size_t i = 0; i < 24; i++) {
            uint64_t next = a[lanes[i]];
            a[lanes[i]] = rotate(t, rotations[i]);
            t = next;
        }
        for (size_t y = 0; y < 25; y += 5) {
            for (size_t x = 0; x < 5; x++) {
                c[x] = a[y + x];
            }
            for (size_t x = 0; x < 5; x++) {
                a[y + x] ^= ~c[(x + 1) % 5] & c[(x + 2) % 5];
            }
        }
        a[0] ^= round_constants[r];
    }
}

static void
xor_byte(struct qr_keccak *k, size_t at, uint8_t b)
{
    k->a[at / 8] ^= (uint64_t)b << (8 * (at % 8));
}

static uint64_t
load_lane(const uint8_t *p)
{
    uint64_t v = 0;
    for (size_t i = 8; i-- > 0;) {
        v = (v << 8) | p[i];
    }
    return v;
}

void
qr_keccak_init(struct qr_keccak *k)
{
    *k = (struct qr_keccak){0};
}

void
qr_keccak_put(struct qr_keccak *k, qr_view v)
{
    size_t i = 0;
    while (i < v.len) {
        if (k->pos % 8 == 0 && v.len - i >= 8) {
            k->a[k->pos / 8] ^= load_lane(v.p + i);
            k->pos += 8;
            i += 8;
        } else {
            xor_byte(k, k->pos++, v.p[i++]);
        }
        if (k->pos == RATE) {
            permute(k->a);
            k->pos = 0;
        }
    }
}

void
qr_keccak_end(struct qr_keccak *k, uint8_t ret[static 32])
{
    xor_byte(k, k->pos, 0x01);
    xor_byte(k, RATE - 1, 0x80);
    permute(k->a);
    for (size_t i = 0; i < 32; i++) {
        ret[i] = (uint8_t)(k->a[i / 8] >> (8 * (i % 8)));
    }
}

void
qr_keccak256(qr_view v, uint8_t ret[static 32])
{
    struct qr_keccak k;
    qr_keccak_init(&k);
    qr_keccak_put(&k, v);
    qr_keccak_end(&k, ret);
}
