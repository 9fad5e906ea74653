/*
 * TPM quotes that are refused: each genuine but for one thing, and signed again.
 *
 * Numbers in brackets are those of the list of hostile evidence that this verifier must refuse.
 */
#include "test/common/tpmbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct tpmbench b;

#define IN(stage)                                                                                  \
    if (s != (stage)) {                                                                            \
        return;                                                                                    \
    }

/* ---- TPMS_ATTEST ---- */

static void
magic(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint32_t m[] = {0, 0xff544346, 0x475454ff, 0xffffffff};
    IN(TB_SPEC)
    t->q.magic = m[arg];
}

/* Other things a TPM attests: certify, session and command audit, time, creation, NV. */
static void
type(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t m[] = {0x8014, 0x8015, 0x8016, 0x8017, 0x8019, 0x801a, 0x801c, 0};
    IN(TB_SPEC)
    t->q.type = m[arg];
}

static void
long_signer(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.signer_len = 67 + arg;
}

static void
long_extra(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.extra_len = 65 + arg;
}

static void
safe(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.safe = (uint8_t)(arg == 4 ? 255 : arg);
}

static void
bank_count(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t alg[] = {0x000b, 0x0004, 0x000c, 0x000d, 0x0012, 0x0027};
    IN(TB_SPEC)
    t->q.n_banks = arg;
    for (size_t i = 1; i < arg; i++) {
        t->q.bank[i].alg = alg[i];
        t->q.bank[i].size = 3;
    }
}

static void
select_size(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.bank[0].size = (uint8_t)(arg == 3 ? 255 : arg);
}

static void
bank_twice(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.n_banks = 2 + arg;
    t->q.bank[1].alg = arg ? 0x000c : 0x000b;
    t->q.bank[2].alg = 0x000c;
    t->q.bank[1].size = t->q.bank[2].size = 3;
}

static void
two_banks(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t alg[] = {0x0004, 0x000c, 0x000d};
    IN(TB_SPEC)
    t->q.n_banks = 2;
    t->q.bank[1].alg = alg[arg];
    t->q.bank[1].size = 3;
    t->q.bank[1].bits[0] = 1;
}

static void
bank_alg(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t alg[] = {0x0000, 0x0010, 0x0012, 0x0027, 0x0b00};
    IN(TB_SPEC)
    t->q.bank[0].alg = alg[arg];
}

static void
no_pcr(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_SPEC) {
        memset(t->q.bank[0].bits, 0, 3);
    } else if (s == TB_EVIDENCE) {
        evtpm_swap(&t->e, QR_PART_TPM_PCRS, 0, qr_view_of("x", 1));
    }
}

static void
msg_grows(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_MSG)
    memset(t->q.msg + t->q.msg_len, arg % 2 ? 0 : 0xa5, arg);
    t->q.msg_len += arg;
}

static void
msg_cut(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t len[] = {1,  3,  4,  5,  6,  7,  8,   41,  42,  43,  44,  75,  76,
                                   83, 84, 88, 92, 93, 95, 101, 104, 105, 107, 108, 110, 143};
    IN(TB_MSG)
    t->q.msg_len = len[arg];
}

/* Sizes of TPM2Bs that lie: the name's, extraData's, the digest's. */
static void
msg_size(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const struct {
        uint16_t at, value;
    } m[] = {{6, 0xffff}, {6, 35}, {42, 33}, {42, 0xffff}, {111, 33}, {111, 0xffff}, {111, 64}};
    IN(TB_MSG)
    evgen_set_be(t->q.msg + m[arg].at, m[arg].value, 2);
}

/* ---- TPMT_SIGNATURE ---- */

static void
sig_scheme(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t alg[] = {0x0005, 0x0010, 0x0015, 0x0018, 0x001a, 0x001b, 0x001c, 0};
    IN(TB_SIG)
    evgen_set_be(t->q.sig, alg[arg], 2);
}

static void
sig_hash(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t alg[] = {0x0004, 0x0000, 0x0010, 0x0012, 0x0027};
    IN(TB_SPEC)
    t->q.hash = alg[arg];
    if (arg == 0) { /* really signed with SHA-1 (81) */
        t->q.really = t->q.digest_hash = QR_SHA1;
    }
}

static void
rsa_scheme_of_ec(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SIG)
    evgen_set_be(t->q.sig, arg ? 0x0016 : 0x0014, 2);
}

static void
sig_grows(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SIG)
    t->q.sig_len += arg;
}

static void
sig_cut(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t len[] = {1, 2, 3, 4, 5, 6, 7, 100, 255, 261};
    IN(TB_SIG)
    t->q.sig_len = len[arg];
}

static void
sig_size(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t size[] = {257, 513, 0xffff};
    IN(TB_SIG)
    evgen_set_be(t->q.sig + 4, size[arg], 2);
}

/* r and s of these lengths (87). */
static void
ec_lengths(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint8_t len[][2] = {{33, 32}, {32, 33}, {0, 32}, {32, 0}, {49, 32}, {32, 64}};
    IN(TB_SIG)
    struct evgen_buf v = evgen_buf_over(t->q.sig, sizeof t->q.sig);
    evgen_put_be(&v, 0x0018, 2);
    evgen_put_be(&v, 0x000b, 2);
    for (unsigned i = 0; i < 2; i++) {
        evgen_put_be(&v, len[arg][i], 2);
        evgen_fill(&v, 0, len[arg][i] > 32 ? len[arg][i] - 32u : 0);
        evgen_fill(&v, 0x11, len[arg][i] < 32 ? len[arg][i] : 32);
    }
    t->q.sig_len = v.len;
}

/* Numbers outside 1..n-1. */
static void
ec_range(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SIG)
    struct evgen_buf v = evgen_buf_over(t->q.sig, sizeof t->q.sig);
    evgen_put_be(&v, 0x0018, 2);
    evgen_put_be(&v, 0x000b, 2);
    for (unsigned i = 0; i < 2; i++) {
        evgen_put_be(&v, 32, 2);
        evgen_fill(&v, (arg >> i) & 1 ? (arg & 4 ? 0xff : 0x00) : 0x11, 32);
    }
    t->q.sig_len = v.len;
}

/* ---- PCR values ---- */

static void
values_len(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t len[] = {1, 20, 32, 23 * 32, 24 * 32 - 1, 24 * 20};
    IN(TB_SIG)
    t->q.values_len = len[arg];
}

static void
values_grow(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    tb_grow(t, QR_PART_TPM_PCRS, 0, 0, arg);
}

static void
no_values(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, QR_PART_TPM_PCRS, 0, (qr_view){NULL, 0});
}

/* The values sent are not the ones that were quoted. */
static void
other_value(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    tb_own(t, QR_PART_TPM_PCRS, 0)[32 * arg + 31] ^= 0x80;
}

static void
swapped_values(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    uint8_t *p = tb_own(t, QR_PART_TPM_PCRS, 0), one[32];
    memcpy(one, p + 32 * arg, 32);
    memmove(p + 32 * arg, p + 32 * (arg + 1), 32);
    memcpy(p + 32 * (arg + 1), one, 32);
}

/* A PCR that is not selected, although its "value" is sent (83). */
static void
not_selected(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    if (s == TB_SPEC) {
        t->q.bank[0].bits[arg / 8] &= (uint8_t) ~(1u << (arg % 8));
    } else if (s == TB_EVIDENCE) {
        tb_grow(t, QR_PART_TPM_PCRS, 0, (uint8_t)(0x40 + arg), 32);
    }
}

/* The digest is made with another hash than the signing scheme's (84), or cut. */
static void
digest_hash(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_hash_alg h[] = {QR_SHA1, QR_SHA384, QR_SHA512};
    IN(TB_SPEC)
    t->q.digest_hash = h[arg];
    evtpm_bank(&t->q, arg == 1 ? QR_SHA384 : QR_SHA256);
}

static void
digest_len(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.digest_len = arg;
}

static void
slot_bank(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, QR_PART_TPM_QUOTE, 0, (qr_view){NULL, 0});
    evtpm_swap(&t->e, QR_PART_TPM_SIG, 0, (qr_view){NULL, 0});
    evtpm_swap(&t->e, QR_PART_TPM_PCRS, 0, (qr_view){NULL, 0});
    evtpm_add(&t->q, (uint8_t)arg, &t->e);
}

static void
missing_part(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    if (arg != 1) {
        evtpm_swap(&t->e, QR_PART_TPM_QUOTE, 0, (qr_view){NULL, 0});
    }
    if (arg != 0) {
        evtpm_swap(&t->e, QR_PART_TPM_SIG, 0, (qr_view){NULL, 0});
    }
}

static void
too_long(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_part part[] = {QR_PART_TPM_QUOTE, QR_PART_TPM_SIG, QR_PART_TPM_PCRS,
                                        QR_PART_AK_PUBLIC};
    IN(TB_EVIDENCE)
    for (size_t i = 0; i < t->e.n; i++) {
        if (t->e.item[i].part == part[arg]) {
            t->e.item[i].bytes = qr_view_of(t->scratch, qr_part_max(part[arg]) + 1);
        }
    }
}

/* ---- the binder ---- */

static void
binder(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint8_t len[] = {0, 1, 16, 31, 33, 48, 64};
    IN(TB_SPEC)
    if (arg < sizeof len) { /* (85) */
        memset(t->q.extra, 0, sizeof t->q.extra);
        memset(t->q.extra, 0xb1, len[arg] < 32 ? len[arg] : 32);
        t->q.extra_len = len[arg];
    } else if (arg == 7) {
        memset(t->q.extra, 0, 32);
    } else { /* evidence of another question (111) */
        t->q.extra[arg - 8] ^= 1;
    }
}

static void
empty_binder(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->o.binder.len = 0; /* asked for nothing: nothing may be taken for an answer */
    t->q.extra_len = arg;
}

/* Two banks' quotes that answer two questions. */
static void
two_extras(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static struct evtpm other;
    (void)arg;
    IN(TB_EVIDENCE)
    other = t->q;
    evtpm_bank(&other, QR_SHA1);
    other.extra[0] ^= 1;
    evtpm_build(&other);
    evtpm_add(&other, 1, &t->e);
}

#define ROW(name, base, change, from, to, check, reason)                                           \
    {                                                                                              \
        name, base, change, from, to, QR_CHECK_##check, QR_REASON_##reason                         \
    }

static const struct tb_row quotes[] = {
    ROW("another magic (78)", TB_CERT, magic, 0, 3, QUOTE, NOT_EVIDENCE),
    ROW("another statement (78)", TB_CERT, type, 0, 7, QUOTE, NOT_EVIDENCE),
    ROW("a long name", TB_PUB, long_signer, 0, 2, PARSE, MALFORMED),
    ROW("long extraData", TB_PUB, long_extra, 0, 2, PARSE, MALFORMED),
    ROW("safe is no boolean", TB_PUB, safe, 2, 4, PARSE, MALFORMED),
    ROW("no banks", TB_PUB, bank_count, 0, 0, PARSE, MALFORMED),
    ROW("too many banks", TB_PUB, bank_count, 5, 6, PARSE, MALFORMED),
    ROW("size of a selection (79)", TB_PUB, select_size, 0, 8, PARSE, MALFORMED),
    ROW("a bank twice", TB_PUB, bank_twice, 0, 1, PARSE, MALFORMED),
    ROW("PCRs of two banks", TB_PUB, two_banks, 0, 2, PARSE, UNSUPPORTED),
    ROW("an unknown bank", TB_PUB, bank_alg, 0, 4, ALGORITHM, UNSUPPORTED),
    ROW("no PCR", TB_PUB, no_pcr, 0, 0, PARSE, MALFORMED),
    ROW("bytes behind the TPMS_ATTEST (79)", TB_PUB, msg_grows, 1, 4, PARSE, TRAILING_DATA),
    ROW("a cut TPMS_ATTEST", TB_PUB, msg_cut, 0, 25, PARSE, MALFORMED),
    ROW("a size that lies", TB_PUB, msg_size, 0, 6, PARSE, MALFORMED),
    ROW("an unknown scheme", TB_PUB, sig_scheme, 0, 7, ALGORITHM, UNSUPPORTED),
    ROW("a weak or unknown hash (81)", TB_PUB, sig_hash, 0, 4, ALGORITHM, UNSUPPORTED),
    ROW("RSA's scheme of an EC key", TB_EC, rsa_scheme_of_ec, 0, 1, ALGORITHM, UNSUPPORTED),
    ROW("bytes behind the signature", TB_PUB, sig_grows, 1, 4, PARSE, TRAILING_DATA),
    ROW("a cut signature", TB_PUB, sig_cut, 0, 9, PARSE, MALFORMED),
    ROW("a signature's size that lies", TB_PUB, sig_size, 0, 2, PARSE, MALFORMED),
    ROW("r or s of another length (87)", TB_EC, ec_lengths, 0, 5, PARSE, MALFORMED),
    ROW("r or s is 0", TB_EC, ec_range, 1, 3, QUOTE, SIGNATURE),
    ROW("r or s is n or more", TB_EC, ec_range, 5, 7, QUOTE, SIGNATURE),
    ROW("too few values (82)", TB_PUB, values_len, 0, 5, PCRS, MALFORMED),
    ROW("too many values", TB_PUB, values_grow, 1, 3, PCRS, MALFORMED),
    ROW("a value too many", TB_PUB, values_grow, 32, 32, PCRS, MALFORMED),
    ROW("no values", TB_PUB, no_values, 0, 0, PCRS, MALFORMED),
    ROW("another value", TB_PUB, other_value, 0, 23, PCRS, MEASUREMENT),
    ROW("values in another order (82)", TB_PUB, swapped_values, 0, 16, PCRS, MEASUREMENT),
    ROW("a PCR that is not quoted (83)", TB_PUB, not_selected, 0, 23, PCRS, MALFORMED),
    ROW("another hash's digest (84)", TB_PUB, digest_hash, 0, 2, PCRS, MALFORMED),
    ROW("a short digest", TB_PUB, digest_len, 30, 31, PCRS, MALFORMED),
    ROW("a long digest", TB_PUB, digest_len, 33, 34, PCRS, MALFORMED),
    ROW("a bank in another's place", TB_PUB, slot_bank, 1, 1, PARSE, MALFORMED),
    ROW("a bank in another's place", TB_PUB, slot_bank, 3, 5, PARSE, MALFORMED),
    ROW("quote or signature is missing", TB_PUB, missing_part, 0, 2, PARSE, MALFORMED),
    ROW("an item too long", TB_PUB, too_long, 0, 3, LIMITS, RESOURCE_LIMIT),
    ROW("another binder (85, 111)", TB_PUB, binder, 0, 20, BINDER, BINDER),
    ROW("an empty question", TB_PUB, empty_binder, 0, 1, BINDER, BINDER),
    ROW("two questions answered", TB_PUB, two_extras, 0, 0, BINDER, BINDER),
};

/* digest_len 32 with bytes of its own is a digest of other values. */
static void
digest_of_others(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.digest_len = 32;
    t->q.digest[0] = (uint8_t)arg;
}

static const struct tb_row digests[] = {
    ROW("a digest of other values", TB_PUB, digest_of_others, 0, 2, PCRS, MEASUREMENT),
};

#undef ROW

static unsigned documents, hits[QR_CHECK_COUNT];

static void
test_quotes(void **state)
{
    (void)state;
    assert_int_equal(tb_run_rows(&b, quotes, sizeof quotes / sizeof quotes[0], &documents, hits),
                     0);
    assert_int_equal(tb_run_rows(&b, digests, sizeof digests / sizeof digests[0], &documents, hits),
                     0);
}

static void
test_how_many(void **state)
{
    static const enum qr_check of_quotes[] = {QR_CHECK_LIMITS, QR_CHECK_PARSE, QR_CHECK_ALGORITHM,
                                              QR_CHECK_QUOTE,  QR_CHECK_PCRS,  QR_CHECK_BINDER};
    (void)state;
    print_message("%u documents\n", documents);
    assert_true(documents >= 200);
    for (size_t i = 0; i < sizeof of_quotes / sizeof of_quotes[0]; i++) {
        if (hits[of_quotes[i]] < 3) {
            print_error("%s refused %u\n", qr_check_name(of_quotes[i]), hits[of_quotes[i]]);
        }
        assert_true(hits[of_quotes[i]] >= 3);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_how_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
