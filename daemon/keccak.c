/*
 * Keccak-f[1600] with 24 rounds; theta, rho and pi, chi, iota as the reference names them. Lanes are
 * little-endian; rho and pi are written out, so that every lane's place and rotation is a constant.
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

static uint64_t
rotate(uint64_t x, unsigned n)
{
    return (x << n) | (x >> (64 - n)); /* n is 1..62 */
}

/* rho and pi of one lane, with theta's sum of its column; all indices are constants. */
#define TURN(to, from, n) b[to] = rotate(a[from] ^ d[(from) % 5], n)

static void
permute(uint64_t a[25])
{
    uint64_t b[25], c[5], d[5];

    for (size_t r = 0; r < 24; r++) {
        for (size_t x = 0; x < 5; x++) {
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        }
        d[0] = c[4] ^ rotate(c[1], 1);
        d[1] = c[0] ^ rotate(c[2], 1);
        d[2] = c[1] ^ rotate(c[3], 1);
        d[3] = c[2] ^ rotate(c[4], 1);
        d[4] = c[3] ^ rotate(c[0], 1);
        b[0] = a[0] ^ d[0];
        TURN(1, 6, 44);
        TURN(2, 12, 43);
        TURN(3, 18, 21);
        TURN(4, 24, 14);
        TURN(5, 3, 28);
        TURN(6, 9, 20);
        TURN(7, 10, 3);
        TURN(8, 16, 45);
        TURN(9, 22, 61);
        TURN(10, 1, 1);
        TURN(11, 7, 6);
        TURN(12, 13, 25);
        TURN(13, 19, 8);
        TURN(14, 20, 18);
        TURN(15, 4, 27);
        TURN(16, 5, 36);
        TURN(17, 11, 10);
        TURN(18, 17, 15);
        TURN(19, 23, 56);
        TURN(20, 2, 62);
        TURN(21, 8, 55);
        TURN(22, 14, 39);
        TURN(23, 15, 41);
        TURN(24, 21, 2);
        for (size_t y = 0; y < 25; y += 5) {
            a[y] = b[y] ^ (~b[y + 1] & b[y + 2]);
            a[y + 1] = b[y + 1] ^ (~b[y + 2] & b[y + 3]);
            a[y + 2] = b[y + 2] ^ (~b[y + 3] & b[y + 4]);
            a[y + 3] = b[y + 3] ^ (~b[y + 4] & b[y]);
            a[y + 4] = b[y + 4] ^ (~b[y] & b[y + 1]);
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
    for (size_t i = 8; i > 0; i--) {
        v = (v << 8) | p[i - 1];
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
