/*
 * Event logs: replayed to quoted PCRs and to a TD's registers; what they may say, and what they may not.
 *
 * Numbers in brackets are those of the list of hostile evidence that this verifier must refuse.
 */
#include "enclave-shim/verify/eventlog.h"
#include "enclave-shim/verify/verify_int.h"
#include "test/common/cases.h"
#include "test/common/tpmbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct tpmbench b;

#define IN(stage)                                                                                  \
    if (s != (stage)) {                                                                            \
        return;                                                                                    \
    }

/* Where things stand in the log of tpmbench: the head's event begins at 32, records behind it. */
#define HEAD_EVENT 32u
#define HEAD_COUNT (HEAD_EVENT + 24u)
#define HEAD_ALGS (HEAD_EVENT + 28u)
#define FIRST (HEAD_ALGS + 12u + 1u)
#define FIRST_DIGESTS (FIRST + 12u)
#define FIRST_SIZE (FIRST_DIGESTS + 3u * 2u + 20u + 32u + 48u)

static void
set(struct tpmbench *t, size_t at, uint64_t v, size_t n)
{
    evgen_set_le(tb_own(t, QR_PART_TCG_LOG, 0) + at, v, n);
}

static void
head(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    switch (arg) {
    case 0: /* the old format */
        set(t, 4, 8, 4);
        break;
    case 1:
        set(t, HEAD_EVENT + 13, '2', 1);
        break;
    case 2:
        set(t, 28, 27, 4);
        break;
    case 3:
        set(t, 28, 0, 4);
        break;
    default:
        break;
    }
}

static void
head_sizes(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const struct {
        uint8_t at, n;
        uint32_t v;
    } m[] = {
        {28, 4, 0xffffffff},
        {28, 4, 40},
        {28, 4, 42},
        {HEAD_COUNT, 4, 0},
        {HEAD_COUNT, 4, 9},
        {HEAD_COUNT, 4, 2},
        {HEAD_COUNT, 4, 4},
        {HEAD_COUNT, 4, 0xffffffff},
        {HEAD_ALGS, 2, 0x0b},
        {HEAD_ALGS + 2, 2, 32},
        {HEAD_ALGS + 2, 2, 0},
        {HEAD_ALGS + 6, 2, 20},
        {HEAD_ALGS + 12, 1, 1},
    };
    IN(TB_EVIDENCE)
    set(t, m[arg].at, m[arg].v, m[arg].n);
}

static void
unknown_hash_size(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    set(t, HEAD_ALGS, 0x0012, 2);
    set(t, HEAD_ALGS + 2, arg ? 65 : 0, 2);
}

static void
record(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const struct {
        uint16_t at;
        uint8_t n;
        uint32_t v;
    } m[] = {
        {FIRST, 4, 24},
        {FIRST, 4, 0x80000000},
        {FIRST + 8, 4, 0},
        {FIRST + 8, 4, 4},
        {FIRST + 8, 4, 0xffffffff},
        {FIRST_DIGESTS, 2, 0x0010},
        {FIRST_DIGESTS + 22, 2, 0x0004},
        {FIRST_SIZE, 4, 0xffffffff},
        {FIRST_SIZE, 4, 0x00100000},
        {FIRST_SIZE, 4, 7},
        {FIRST_SIZE, 4, 9},
    };
    IN(TB_EVIDENCE)
    set(t, m[arg].at, m[arg].v, m[arg].n);
}

static void
cut(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t keep[] = {1,
                                    31,
                                    32,
                                    HEAD_COUNT,
                                    FIRST - 1,
                                    FIRST + 5,
                                    FIRST + 11,
                                    FIRST + 13,
                                    FIRST_DIGESTS + 5,
                                    FIRST_SIZE,
                                    FIRST_SIZE + 3,
                                    FIRST_SIZE + 4,
                                    FIRST_SIZE + 11};
    IN(TB_EVIDENCE)
    tb_cut(t, QR_PART_TCG_LOG, 0, t->log.b.len - keep[arg]);
}

/* Something behind the log that is no padding. */
static void
behind(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    tb_grow(t, QR_PART_TCG_LOG, 0, arg ? 0xff : 0x00, 64);
    size_t len = qr_evidence_get(&t->e, QR_PART_TCG_LOG).len;
    t->scratch[len - 1] = 0x7f;
}

/* Events that were not measured, were left out, or come in another order (71). */
static void
other_boot(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    uint8_t keep[sizeof t->log.reg];
    switch (arg) {
    case 0: /* one more */
        memcpy(keep, t->log.reg, sizeof keep);
        evlog_event(&t->log, 2, EV_POST_CODE, "x", 1);
        memcpy(t->log.reg, keep, sizeof keep);
        break;
    case 1: /* one that the log does not have */
        evlog_event(&t->log, 5, EV_POST_CODE, "x", 1);
        t->log.b.len -= FIRST_SIZE - FIRST + 4 + 1;
        break;
    case 2: /* secure boot was off, and the log says otherwise */
        memset(t->log.reg[1][7], 7, 32);
        break;
    case 3:
        memset(t->log.reg[1][0], 0, 32);
        break;
    default: /* another locality */
        t->log.reg[1][0][31] ^= 3;
        break;
    }
}

static void
locality(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_hash_alg banks[] = {QR_SHA1, QR_SHA256, QR_SHA384};
    uint8_t data[18] = "StartupLocality";
    IN(TB_SPEC)
    if (arg == 4) { /* behind the first event of PCR 0 */
        evlog_locality(&t->log, 3);
        return;
    }
    evlog_open(&t->log, t->log_mem, sizeof t->log_mem, 0, banks, 3);
    data[16] = arg == 0 ? 5 : 3;
    evlog_remark(&t->log, arg == 1 ? 1 : 0, data, arg == 2 ? 16 : arg == 3 ? 18 : 17);
    evlog_boot(&t->log);
}

/* The log has no digests of the bank that is quoted, or an event has none. */
static void
no_bank(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_hash_alg banks[] = {QR_SHA1, QR_SHA384};
    if (s == TB_SPEC && arg == 0) {
        evlog_open(&t->log, t->log_mem, sizeof t->log_mem, 0, banks, 2);
        evlog_boot(&t->log);
    } else if (s == TB_SPEC) {
        evtpm_bank(&t->q, QR_SHA512);
    }
}

static void
no_digest(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    IN(TB_SPEC)
    /* A record with the SHA-1 digest only. */
    evgen_put_le(&t->log.b, 5, 4);
    evgen_put_le(&t->log.b, EV_POST_CODE, 4);
    evgen_put_le(&t->log.b, 1, 4);
    evgen_put_le(&t->log.b, 0x0004, 2);
    evgen_fill(&t->log.b, 0x22, 20);
    evgen_put_le(&t->log.b, 0, 4);
}

/* Only PCRs of the operating system are quoted. */
static void
few_pcrs(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    IN(TB_SPEC)
    t->q.bank[0].bits[0] = 0;
}

#define ROW(name, change, from, to, check, reason)                                                 \
    {                                                                                              \
        name, TB_LOG, change, from, to, QR_CHECK_##check, QR_REASON_##reason                       \
    }

static const struct tb_row rows[] = {
    ROW("another format", head, 0, 3, EVENT_LOG, UNSUPPORTED),
    ROW("sizes of the head", head_sizes, 0, 12, EVENT_LOG, MALFORMED),
    ROW("digests of no length", unknown_hash_size, 0, 1, EVENT_LOG, MALFORMED),
    ROW("a record that is none", record, 0, 10, EVENT_LOG, MALFORMED),
    ROW("a cut log", cut, 0, 12, EVENT_LOG, MALFORMED),
    ROW("something behind the log", behind, 0, 1, EVENT_LOG, MALFORMED),
    ROW("another boot (71)", other_boot, 0, 4, EVENT_LOG, MEASUREMENT),
    ROW("a wrong locality", locality, 0, 4, EVENT_LOG, MALFORMED),
    ROW("no digests of the bank", no_bank, 0, 1, EVENT_LOG, UNSUPPORTED),
    ROW("an event without digest", no_digest, 0, 0, EVENT_LOG, MALFORMED),
    ROW("nothing of the firmware's is quoted", few_pcrs, 0, 0, EVENT_LOG, MEASUREMENT),
};

#undef ROW

static void
test_refused(void **state)
{
    unsigned documents = 0, hits[QR_CHECK_COUNT] = {0};
    (void)state;
    assert_int_equal(tb_run_rows(&b, rows, sizeof rows / sizeof rows[0], &documents, hits), 0);
    print_message("%u documents\n", documents);
    assert_true(documents >= 50);
    assert_int_equal(hits[QR_CHECK_EVENT_LOG], documents);
}

/* ---- what is accepted ---- */

enum good {
    GOOD_LOCALITY,
    GOOD_REMARK,
    GOOD_PADDED_FF,
    GOOD_PADDED_00,
    GOOD_LATER,        /* the operating system extended PCR 8 and 9 after the log ended */
    GOOD_UNKNOWN_HASH, /* skipped by its size */
    GOODS
};

/* SHA-384 becomes a hash that nobody knows, in the head and in each record. */
static void
rename_third_hash(struct tpmbench *t)
{
    const size_t digests = FIRST_SIZE - FIRST;
    uint8_t *p = tb_own(t, QR_PART_TCG_LOG, 0);
    size_t len = t->log.b.len, at = FIRST;

    evgen_set_le(p + HEAD_ALGS + 8, 0x0027, 2);
    while (at < len) {
        evgen_set_le(p + at + 12 + 22 + 34, 0x0027, 2);
        at += digests + 4 + p[at + digests] + 256u * p[at + digests + 1];
    }
    assert_int_equal(at, len);
}

static void
good(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_hash_alg banks[] = {QR_SHA1, QR_SHA256, QR_SHA512};
    if (s == TB_SPEC) {
        switch (arg) {
        case GOOD_LOCALITY:
            evlog_open(&t->log, t->log_mem, sizeof t->log_mem, 0, banks, 3);
            evlog_locality(&t->log, 3);
            evlog_boot(&t->log);
            break;
        case GOOD_REMARK:
            evlog_remark(&t->log, 7, "something else", 14);
            break;
        case GOOD_LATER:
            memset(t->log.reg[1][8], 8, 32);
            break;
        default:
            break;
        }
    } else if (s == TB_EVIDENCE) {
        if (arg == GOOD_PADDED_FF || arg == GOOD_PADDED_00) {
            tb_grow(t, QR_PART_TCG_LOG, 0, arg == GOOD_PADDED_FF ? 0xff : 0x00, 300);
        } else if (arg == GOOD_UNKNOWN_HASH) {
            rename_third_hash(t);
        }
    }
}

static int
claimed(const char *path)
{
    int v = 0;
    return qr_claim_get_bool(&b.v.claims, path, &v) ? v : -1;
}

static void
test_accepted(void **state)
{
    uint64_t n = 0;
    (void)state;
    for (unsigned i = 0; i < GOODS; i++) {
        if (tb_run(&b, TB_LOG, good, i) != QR_OK) {
            print_error("%u: %s\n", i, b.v.sentence);
        }
        assert_int_equal(b.v.reason, QR_REASON_NONE);
        assert_int_equal(b.v.check[QR_CHECK_EVENT_LOG], QR_CHECK_PASS);
        assert_int_equal(claimed("event_log.secure_boot"), 1);
        assert_int_equal(claimed("event_log_replay_matches.7"), 1);
        assert_int_equal(claimed("event_log_replay_matches.8"), i != GOOD_LATER);
        assert_int_equal(claimed("event_log_replay_matches.10"), -1);
        assert_true(qr_claim_get_uint(&b.v.claims, "event_log.events", &n));
        assert_int_equal(n, 15 + (i == GOOD_LOCALITY || i == GOOD_REMARK));
    }
    assert_int_equal(tb_run(&b, TB_PUB, NULL, 0), QR_OK);
    assert_int_equal(b.v.check[QR_CHECK_EVENT_LOG], QR_CHECK_SKIPPED);
    assert_int_equal(claimed("event_log.secure_boot"), -1);
}

/* ---- secure boot: only what the firmware measured, before it was done ---- */

enum boot {
    BOOT_OFF,        /* said so */
    BOOT_BOTH,       /* off at first, then on */
    BOOT_LATE,       /* on, but behind the separator: anybody could have measured it */
    BOOT_RENAMED,    /* the separator under another name does not hide that it is one */
    BOOT_NEVER,      /* the register was never closed */
    BOOT_OTHER_TEXT, /* the text is not what was measured */
    BOOT_OTHER_PCR,
    BOOT_ODD, /* neither 0 nor 1 */
    BOOTS
};

static void
boot(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_hash_alg banks[] = {QR_SHA1, QR_SHA256, QR_SHA384};
    uint8_t text[53] = {0};
    IN(TB_SPEC)
    evlog_open(&t->log, t->log_mem, sizeof t->log_mem, 0, banks, 3);
    evlog_event(&t->log, 0, EV_POST_CODE, "firmware", 8);
    switch (arg) {
    case BOOT_OFF:
        evlog_secure_boot(&t->log, 7, 0);
        break;
    case BOOT_BOTH:
        evlog_secure_boot(&t->log, 7, 0);
        evlog_secure_boot(&t->log, 7, 1);
        break;
    case BOOT_LATE:
        evlog_separator(&t->log, 7);
        evlog_secure_boot(&t->log, 7, 1);
        break;
    case BOOT_RENAMED:
        evlog_event(&t->log, 7, EV_IPL, "\xff\xff\xff\xff", 4);
        evlog_secure_boot(&t->log, 7, 1);
        break;
    case BOOT_OTHER_TEXT:
        evlog_secure_boot(&t->log, 6, 1); /* for its text */
        memcpy(text, t->log.b.p + t->log.b.len - 53, 53);
        evlog_event_as(&t->log, 7, EV_EFI_VARIABLE, qr_view_str("off"), qr_view_of(text, 53));
        break;
    case BOOT_OTHER_PCR:
        evlog_secure_boot(&t->log, 1, 1);
        break;
    case BOOT_ODD:
        evlog_secure_boot(&t->log, 7, 2);
        break;
    default:
        evlog_secure_boot(&t->log, 7, 1);
        break;
    }
    if (arg != BOOT_NEVER) {
        evlog_separator(&t->log, 7);
    }
}

/* Without PCR 7, or with SHA-1 alone, nobody vouches for it. */
static void
weak(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    if (s == TB_SPEC && arg == 0) {
        t->q.bank[0].bits[0] = 0x7f;
    } else if (s == TB_SPEC) {
        evtpm_bank(&t->q, QR_SHA1);
        memcpy(t->log.reg[1], t->log.reg[0], sizeof t->log.reg[0]);
    }
}

static void
test_secure_boot(void **state)
{
    static const int want[BOOTS] = {
        [BOOT_OFF] = 0,    [BOOT_BOTH] = 0,        [BOOT_LATE] = -1,      [BOOT_RENAMED] = -1,
        [BOOT_NEVER] = -1, [BOOT_OTHER_TEXT] = -1, [BOOT_OTHER_PCR] = -1, [BOOT_ODD] = 0,
    };
    (void)state;
    for (unsigned i = 0; i < BOOTS; i++) {
        if (tb_run(&b, TB_LOG, boot, i) != QR_OK) {
            print_error("%u: %s\n", i, b.v.sentence);
        }
        assert_int_equal(b.v.reason, QR_REASON_NONE);
        assert_int_equal(claimed("event_log.secure_boot"), want[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(tb_run(&b, TB_LOG, weak, i), QR_OK);
        assert_int_equal(b.v.check[QR_CHECK_EVENT_LOG], QR_CHECK_PASS);
        assert_int_equal(claimed("event_log.secure_boot"), -1);
    }
}

/* ---- the log of a TD ---- */

static struct evlog cc;
static uint8_t cc_mem[16384];

/* Replays cc to these registers. */
static qr_err
run_cc(uint8_t reg[4][48])
{
    qr_view rtmr[4];
    struct qr_verify_opts o = {.now_ms = -1};
    struct qr_verify_run r = {.e = &b.e, .o = &o, .v = &b.v};
    for (size_t i = 0; i < 4; i++) {
        rtmr[i] = qr_view_of(reg[i], 48);
    }
    b.e = (struct qr_evidence){.kind = QR_EV_TDX};
    evtpm_swap(&b.e, QR_PART_CC_LOG, 0, evgen_buf_view(&cc.b));
    qr_verdict_init(&b.v);
    return qr_cc_log_part(&r, rtmr);
}

static void
open_cc(uint8_t reg[4][48])
{
    static const enum qr_hash_alg alg[] = {QR_SHA384};
    evlog_open(&cc, cc_mem, sizeof cc_mem, 1, alg, 1);
    evlog_event(&cc, 0, EV_POST_CODE, "MRTD is not replayed", 20);
    evlog_boot(&cc);
    for (size_t i = 0; i < 4; i++) {
        memcpy(reg[i], cc.reg[0][i], 48);
    }
}

static void
test_cc_log(void **state)
{
    static const enum qr_hash_alg sha256[] = {QR_SHA256};
    uint8_t reg[4][48];
    qr_view v;

    (void)state;
    open_cc(reg);
    if (run_cc(reg) != QR_OK) {
        print_error("%s\n", b.v.sentence);
    }
    assert_int_equal(b.v.reason, QR_REASON_NONE);
    assert_int_equal(b.v.check[QR_CHECK_EVENT_LOG], QR_CHECK_PASS);
    assert_int_equal(claimed("event_log.ccel_replays"), 1);
    assert_int_equal(claimed("event_log.mr_index_minus_1_is_rtmr"), 1);
    assert_int_equal(claimed("event_log.rtmr_matches.3"), 1);
    assert_int_equal(claimed("event_log.secure_boot"), 1);
    assert_true(qr_claim_get_text(&b.v.claims, "event_log.alg", &v));
    assert_true(qr_view_eq(v, qr_view_str("sha384")));
    /* RTMR3 is the operating system's, later: said, not refused. */
    reg[3][0] ^= 1;
    assert_int_equal(run_cc(reg), QR_OK);
    assert_int_equal(claimed("event_log.rtmr_matches.3"), 0);
    /* Another boot (71). */
    for (size_t i = 0; i < 3; i++) {
        reg[i][47] ^= 1;
        assert_int_equal(run_cc(reg), QR_ERR_ATTESTATION);
        assert_int_equal(b.v.failed, QR_CHECK_EVENT_LOG);
        assert_int_equal(b.v.reason, QR_REASON_MEASUREMENT);
        assert_int_equal(claimed("event_log.ccel_replays"), 0);
        assert_int_equal(claimed("event_log.secure_boot"), -1);
        reg[i][47] ^= 1;
    }
    /* A register that there is not. */
    evlog_event(&cc, 4, EV_IPL, "x", 1);
    assert_int_equal(run_cc(reg), QR_OK);
    evgen_put_le(&cc.b, 5, 4);
    evgen_put_le(&cc.b, EV_IPL, 4);
    evgen_put_le(&cc.b, 1, 4);
    assert_int_equal(run_cc(reg), QR_ERR_ATTESTATION);
    assert_int_equal(b.v.reason, QR_REASON_MALFORMED);
    /* No SHA-384 in it. */
    evlog_open(&cc, cc_mem, sizeof cc_mem, 1, sha256, 1);
    evlog_boot(&cc);
    assert_int_equal(run_cc(reg), QR_ERR_ATTESTATION);
    assert_int_equal(b.v.reason, QR_REASON_UNSUPPORTED);
}

/* ---- real logs ---- */

static size_t
slurp(const char *name, uint8_t *out, size_t cap)
{
    char path[640];
    (void)snprintf(path, sizeof path, "%s/%s", cases_root(), name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        return 0;
    }
    size_t n = fread(out, 1, cap, f);
    (void)fclose(f);
    return n;
}

/* RTMRs as they stand in a TD quote of version 4. */
static void
test_real_cc_log(void **state)
{
    static uint8_t quote[16384], log[65536];
    uint8_t reg[4][48];
    uint64_t n = 0;

    (void)state;
    size_t q = slurp("intel-tdx/gcp-cos113-v4-uptodate/quote.bin", quote, sizeof quote);
    size_t len = slurp("intel-tdx/gcp-cos113-v4-uptodate/ccel.bin", log, sizeof log);
    print_message("a real log of a TD: %s\n", q > 632 && len > 0 ? "replayed" : "not there");
    if (q <= 632 || len == 0) {
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        memcpy(reg[i], quote + 48 + 328 + 48 * i, 48);
    }
    cc.b = evgen_buf_over(log, sizeof log);
    cc.b.len = len;
    assert_int_equal(run_cc(reg), QR_OK);
    for (size_t i = 0; i < 4; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "event_log.rtmr_matches.%zu", i);
        assert_int_equal(claimed(path), 1);
    }
    assert_int_equal(claimed("event_log.secure_boot"), 0);
    assert_true(qr_claim_get_uint(&b.v.claims, "event_log.events", &n) && n == 43);
    log[200] ^= 1; /* in the digest of an event */
    assert_int_equal(run_cc(reg), QR_ERR_ATTESTATION);
    assert_int_equal(b.v.reason, QR_REASON_MEASUREMENT);
    log[200] ^= 1;
    memset(log + len, 0xff, 1000); /* as the table lies in memory */
    cc.b.len = len + 1000;
    assert_int_equal(run_cc(reg), QR_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),    cmocka_unit_test(test_secure_boot),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_cc_log),
        cmocka_unit_test(test_real_cc_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
