/* Control messages between parties, and key records: one encoding each. */
#include "daemon/control.h"
#include "daemon/fresh.h"
#include "daemon/sharing.h"
#include "protocol/base/hash.h"
#include "protocol/base/rng.h"
#include "protocol/group.h"
#include "protocol/key.h"
#include "test/fuzz/fuzz.h"

#define CAP (QR_CTL_SIGN_MAX + QR_EVIDENCE_MAX + 32768u)

static void
record(qr_view in)
{
    struct qr_key *k = malloc(sizeof *k);
    uint8_t out[QR_KEY_RECORD_MAX];

    FUZZ_MUST(k);
    if (qr_key_decode(in, k) == QR_OK) {
        size_t n = qr_key_encode(k, out);
        uint16_t bad = 0;
        FUZZ_MUST(n == in.len && memcmp(out, in.p, n) == 0);
        if (qr_key_check(&k->pub, &bad) == QR_OK && k->state == QR_KEY_ACTIVE) {
            FUZZ_MUST(bad == 0);
        }
        qr_err e = qr_key_check_share(k);
        FUZZ_MUST(e == QR_OK || e == QR_ERR_SHARE || e == QR_ERR_SET || e == QR_ERR_POINT ||
                  e == QR_ERR_INFINITY);
    }
    free(k);
}

/* What freshness keeps over a restart. */
static void
memory(qr_view in)
{
    static struct qr_fresh_memory m;
    static uint8_t out[QR_FRESH_MEMORY_MAX];
    struct qr_buf b = qr_buf_over(out, sizeof out);

    if (qr_fresh_memory_decode(in, &m) == QR_OK) {
        qr_fresh_memory_encode(&m, &b);
        FUZZ_MUST(b.err == QR_OK && b.len == in.len && memcmp(out, in.p, b.len) == 0);
    }
}

/* A piece as its holder keeps it, and the list of holders as the owner does. */
static void
piece(qr_view in)
{
    uint8_t out[QR_PIECE_RECORD_LEN];
    struct qr_piece p;

    if (qr_piece_decode(in, &p) == QR_OK) {
        qr_piece_encode(&p, out);
        FUZZ_MUST(in.len == sizeof out && memcmp(out, in.p, sizeof out) == 0);
    }
}

static void
holders(qr_view in)
{
    uint8_t out[QR_SHARING_RECORD_MAX];
    struct qr_sharing s;
    uint32_t last = 0;

    if (qr_sharing_decode(in, &last, &s) == QR_OK) {
        FUZZ_MUST(s.epoch <= last && s.need <= s.n && s.n < QR_MAX_PARTIES);
        size_t n = qr_sharing_encode(last, &s, out);
        FUZZ_MUST(n == in.len && memcmp(out, in.p, n) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t mem[CAP];
    static int started;
    unsigned which;
    if (size > 0 && data[0] >= 0xf5) { /* outside the modulus, so that old inputs keep their kind */
        static const unsigned kind[] = {16, 17, 18, 14, 15, 10, 11, 12, 13, 8, 9};
        which = kind[data[0] - 0xf5];
        data++;
        size--;
    } else {
        which = fuzz_choice(&data, &size, 8);
    }
    qr_view in = qr_view_of(data, size);
    struct qr_buf out = qr_buf_over(mem, sizeof mem);
    union {
        struct qr_ctl_sign sign;
        struct qr_ctl_share share;
        struct qr_ctl_admin admin;
        struct qr_ctl_start start;
        struct qr_ctl_retire retire;
        struct qr_ctl_store store;
        struct qr_ctl_key key;
        struct qr_ctl_time time;
        struct qr_ctl_secret_put secret_put;
        struct qr_ctl_secret_have secret_have;
        struct qr_ctl_secret_piece secret_piece;
        struct qr_ctl_audit_head audit_head;
        struct qr_ctl_receipt_ask receipt_ask;
        struct qr_ctl_receipt_tell receipt_tell;
        uint32_t epoch;
    } m;

    if (!started) {
        struct qr_rng rng = qr_rng_system();
        FUZZ_MUST(qr_hash_init() == QR_OK && qr_group_init(&rng) == QR_OK);
        started = 1;
    }
#define ONE(number, name)                                                                          \
    case number:                                                                                   \
        if (qr_ctl_get_##name(in, &m.name) != QR_OK) {                                             \
            return 0;                                                                              \
        }                                                                                          \
        qr_ctl_put_##name(&out, &m.name);                                                          \
        break
    switch (which) {
        ONE(0, sign);
        ONE(1, share);
        ONE(2, admin);
        ONE(3, start);
        ONE(4, retire);
        ONE(5, store);
        ONE(6, key);
        ONE(8, time);
        ONE(10, secret_put);
        ONE(11, secret_have);
        ONE(12, secret_piece);
        ONE(16, audit_head);
        ONE(17, receipt_ask);
        ONE(18, receipt_tell);
    case 13:
        if (qr_ctl_get_epoch(in, &m.epoch) != QR_OK) {
            return 0;
        }
        qr_ctl_put_epoch(&out, m.epoch);
        break;
    case 9:
        memory(in);
        return 0;
    case 14:
        piece(in);
        return 0;
    case 15:
        holders(in);
        return 0;
    default:
        record(in);
        return 0;
    }
    FUZZ_MUST(out.err == QR_OK && out.len == size && memcmp(mem, data, size) == 0);
    return 0;
}
