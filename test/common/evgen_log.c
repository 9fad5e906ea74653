/* Event logs, extended into registers as they are written. */
#include "test/common/evgen_tpm.h"

#include "protocol/base/check.h"

static uint16_t
alg_of(enum qr_hash_alg h)
{
    return h == QR_SHA1 ? 0x0004 : h == QR_SHA256 ? 0x000b : h == QR_SHA384 ? 0x000c : 0x000d;
}

void
evlog_open(struct evlog *l, void *mem, size_t cap, uint32_t first, const enum qr_hash_alg *alg,
           size_t n)
{
    *l = (struct evlog){.b = evgen_buf_over(mem, cap), .n_algs = n, .first = first};
    QR_ASSERT(n <= EVLOG_ALGS);
    evgen_put_le(&l->b, first, 4);
    evgen_put_le(&l->b, 3, 4);
    evgen_fill(&l->b, 0, 20);
    evgen_put_le(&l->b, 16 + 8 + 4 + 4 * n + 1, 4);
    evgen_put(&l->b, "Spec ID Event03", 16);
    evgen_put_le(&l->b, 0, 4);
    evgen_put_le(&l->b, 0x02000200, 4);
    evgen_put_le(&l->b, n, 4);
    for (size_t i = 0; i < n; i++) {
        l->alg[i] = alg[i];
        evgen_put_le(&l->b, alg_of(alg[i]), 2);
        evgen_put_le(&l->b, qr_hash_len(alg[i]), 2);
        if (first == 0) {
            memset(l->reg[i][17], 0xff, 6 * 64);
        }
    }
    evgen_put_le(&l->b, 0, 1);
}

static void
put_event(struct evlog *l, uint32_t reg, uint32_t type, int extends, qr_view measured, qr_view text)
{
    uint8_t digest[64];
    evgen_put_le(&l->b, reg, 4);
    evgen_put_le(&l->b, type, 4);
    evgen_put_le(&l->b, l->n_algs, 4);
    for (size_t i = 0; i < l->n_algs; i++) {
        size_t len = qr_hash_len(l->alg[i]);
        memset(digest, 0, sizeof digest);
        QR_ASSERT(!extends || qr_hash_of(l->alg[i], &measured, 1, digest));
        evgen_put_le(&l->b, alg_of(l->alg[i]), 2);
        evgen_put(&l->b, digest, len);
        if (extends && reg >= l->first) {
            uint8_t *r = l->reg[i][reg - l->first];
            qr_view piece[2] = {qr_view_of(r, len), qr_view_of(digest, len)};
            QR_ASSERT(qr_hash_of(l->alg[i], piece, 2, r));
        }
    }
    evgen_put_le(&l->b, text.len, 4);
    evgen_put_view(&l->b, text);
}

void
evlog_event(struct evlog *l, uint32_t reg, uint32_t type, const void *data, size_t n)
{
    put_event(l, reg, type, 1, qr_view_of(data, n), qr_view_of(data, n));
}

void
evlog_event_as(struct evlog *l, uint32_t reg, uint32_t type, qr_view measured, qr_view text)
{
    put_event(l, reg, type, 1, measured, text);
}

void
evlog_remark(struct evlog *l, uint32_t reg, const void *data, size_t n)
{
    put_event(l, reg, 3, 0, (qr_view){NULL, 0}, qr_view_of(data, n));
}

void
evlog_locality(struct evlog *l, uint8_t locality)
{
    uint8_t data[17] = "StartupLocality";
    data[16] = locality;
    evlog_remark(l, 0, data, sizeof data);
    for (size_t i = 0; i < l->n_algs; i++) {
        l->reg[i][0][qr_hash_len(l->alg[i]) - 1] = locality;
    }
}

void
evlog_secure_boot(struct evlog *l, uint32_t reg, uint8_t value)
{
    static const uint8_t global[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                       0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
    uint8_t mem[64];
    struct evgen_buf b = evgen_buf_over(mem, sizeof mem);
    evgen_put(&b, global, sizeof global);
    evgen_put_le(&b, 10, 8);
    evgen_put_le(&b, 1, 8);
    for (const char *s = "SecureBoot"; *s; s++) {
        evgen_put_le(&b, (uint8_t)*s, 2);
    }
    evgen_put(&b, &value, 1);
    evlog_event(l, reg, EV_EFI_VARIABLE, b.p, b.len);
}

void
evlog_separator(struct evlog *l, uint32_t reg)
{
    evlog_event(l, reg, EV_SEPARATOR, "\0\0\0", 4);
}

void
evlog_boot(struct evlog *l)
{
    uint32_t boot = l->first == 0 ? 7 : 1, last = l->first == 0 ? 7 : 3;

    if (l->first == 0) {
        evlog_event(l, 0, EV_POST_CODE, "firmware", 8);
    }
    evlog_secure_boot(l, boot, 1);
    evlog_event(l, boot, EV_EFI_VARIABLE, "keys of the platform", 20);
    for (uint32_t r = l->first; r <= last; r++) {
        evlog_separator(l, r);
    }
    if (l->first == 0) {
        evlog_event(l, 4, 0x80000003, "a boot loader", 13);
        evlog_event(l, 8, EV_IPL, "a command line", 14);
        evlog_event(l, 9, EV_IPL, "a kernel", 8);
        evlog_event(l, 14, EV_IPL, "MokList", 7);
    } else {
        evlog_event(l, 3, EV_IPL, "a kernel", 8);
    }
}
