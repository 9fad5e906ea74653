/* TPM quotes: what is accepted, and what it says. What is refused: test_tpm_refused.c. */
#include "enclave-shim/verify/tpm.h"
#include "test/common/tpmbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct tpmbench b;

static void
must_pass(enum tb_base base, tb_change change, unsigned arg)
{
    qr_err e = tb_run(&b, base, change, arg);
    if (e != QR_OK) {
        print_error("base %d, arg %u: %s: %s\n", base, arg, qr_reason_word(b.v.reason),
                    b.v.sentence);
    }
    assert_int_equal(e, QR_OK);
    assert_int_equal(b.v.reason, QR_REASON_NONE);
}

static void
must_be_text(const char *path, const char *want)
{
    qr_view v = {0};
    if (!qr_claim_get_text(&b.v.claims, path, &v) || !qr_view_eq(v, qr_view_str(want))) {
        print_error("%s: expected \"%s\", found \"%.*s\"\n", path, want, (int)v.len, v.p);
        fail();
    }
}

static void
must_be_hex(const char *path, const void *p, size_t n)
{
    qr_view v = {0};
    assert_true(qr_claim_get_hex(&b.v.claims, path, &v));
    assert_true(qr_view_eq(v, qr_view_of(p, n)));
}

static void
must_be_uint(const char *path, uint64_t want)
{
    uint64_t u = 0;
    assert_true(qr_claim_get_uint(&b.v.claims, path, &u));
    assert_int_equal(u, want);
}

static void
test_every_base_is_genuine(void **state)
{
    (void)state;
    for (int base = 0; base < TB_BASES; base++) {
        must_pass((enum tb_base)base, NULL, 0);
        assert_int_equal(b.v.check[QR_CHECK_QUOTE], QR_CHECK_PASS);
        assert_int_equal(b.v.check[QR_CHECK_PCRS], QR_CHECK_PASS);
        assert_int_equal(b.v.check[QR_CHECK_BINDER], QR_CHECK_PASS);
    }
}

static void
test_claims_of_a_quote(void **state)
{
    uint8_t name[34] = {0x00, 0x0b};
    uint8_t h[32];

    (void)state;
    must_pass(TB_PUB, NULL, 0);
    must_be_hex("quote.magic", "\xff\x54\x43\x47", 4);
    must_be_hex("quote.type", "\x80\x18", 2);
    must_be_hex("quote.qualifiedSigner", b.q.signer, 34);
    must_be_hex("quote.extraData", b.q.extra, 32);
    must_be_uint("quote.clock", 8219159479);
    must_be_uint("quote.resetCount", 10);
    must_be_uint("quote.restartCount", 2);
    must_be_uint("quote.safe", 1);
    must_be_text("quote.firmwareVersion", "0x2020031200120003");
    must_be_hex("quote.pcrs.0", b.q.pcr[0], 32);
    must_be_hex("quote.pcrs.23", b.q.pcr[23], 32);
    must_be_text("signature_alg", "RSASSA");
    must_be_text("signature_hash", "sha256");
    evgen_sha256(qr_view_of(b.q.values, b.q.values_len), h);
    must_be_hex("quote.pcrDigest", h, 32);
    /* The key's name is nameAlg and the hash of its TPMT_PUBLIC. */
    evgen_sha256(qr_view_of(b.pub_bytes, b.pub_len), name + 2);
    must_be_hex("ak_name", name, sizeof name);
    must_be_hex("ak.name", name, sizeof name);
    must_be_text("ak.attr", "0x00050072");
    must_be_text("ak.attr_bits[4]", "restricted");
    must_be_text("ak.scheme[0]", "0x14");
    must_be_uint("ak.bits", 2048);
    const struct qr_claim *c = qr_claim_find(&b.v.claims, "quote.pcrSelect");
    assert_non_null(c);
    assert_int_equal(c->type, QR_CLAIM_JSON);
    assert_memory_equal(c->v.p, "[{\"hash\":\"sha256\",\"pcrs\":[0,1,2,", 32);
}

/* A key that nobody certifies is no checked key: a policy pins it or refuses. */
static void
test_uncertified_key_leaves_the_check_out(void **state)
{
    (void)state;
    must_pass(TB_PUB, NULL, 0);
    assert_int_equal(b.v.check[QR_CHECK_AK], QR_CHECK_SKIPPED);
    assert_int_equal(b.v.check[QR_CHECK_CHAIN], QR_CHECK_SKIPPED);
    must_pass(TB_CERT, NULL, 0);
    assert_int_equal(b.v.check[QR_CHECK_AK], QR_CHECK_PASS);
    assert_int_equal(b.v.check[QR_CHECK_ROOT], QR_CHECK_PASS);
    assert_int_equal(b.v.check[QR_CHECK_CHAIN], QR_CHECK_PASS);
    assert_int_equal(b.v.check[QR_CHECK_VALIDITY], QR_CHECK_PASS);
}

static void
test_claims_of_a_certificate(void **state)
{
    int production = 0;

    (void)state;
    must_pass(TB_CERT, NULL, 0);
    must_be_text("ak_cert.instance.zone", "us-central1-c");
    must_be_uint("ak_cert.instance.project_number", 260347345489);
    must_be_text("ak_cert.instance.project_id", "a-project");
    must_be_uint("ak_cert.instance.instance_id", 7885236546812373301);
    must_be_text("ak_cert.instance.instance_name", "a-party");
    must_be_uint("ak_cert.instance.security_version", 0);
    assert_true(qr_claim_get_bool(&b.v.claims, "ak_cert.instance.is_production", &production));
    assert_true(production);
    must_be_text("ak_cert.key", "RSA 2048");
    must_be_text("ak_cert.not_before", "2025-01-01T00:00:00Z");
    must_be_hex("ak_cert.instance_extension_1_3_6_1_4_1_11129_2_1_21", b.ca.instance,
                b.ca.instance_len);
    must_pass(TB_MSFT, NULL, 0);
    must_be_text("ak_cert.subject", "CN=ab12.ConfidentialVM.Azure.Microsoft");
    must_be_text("ak_cert.eku[1]", "2.23.133.8.3");
    assert_null(qr_claim_find(&b.v.claims, "ak_cert.instance.zone"));
}

/* Forms that differ and mean the same. */
static void
other_form(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_hash_alg hash[] = {QR_SHA256, QR_SHA384, QR_SHA512};
    static const uint16_t number[] = {0x000b, 0x000c, 0x000d};
    if (s != TB_SPEC) {
        return;
    }
    if (arg == 0) {
        t->q.form = EVTPM_RAW; /* the bare bytes of RSASSA SHA-256 */
    } else if (arg <= 3) {     /* the digest is of the scheme's hash, whatever the bank */
        t->q.really = t->q.digest_hash = hash[arg - 1];
        t->q.hash = number[arg - 1];
    } else {
        t->q.scheme = 0x0016;
    }
}

static void
other_bank(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_hash_alg hash[] = {QR_SHA1, QR_SHA384, QR_SHA512};
    if (s == TB_SPEC) {
        evtpm_bank(&t->q, hash[arg]);
    }
}

/* The quote of one bank names the others with no PCR. */
static void
empty_banks(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_SPEC) {
        t->q.n_banks = 4;
        for (size_t i = 1; i < 4; i++) {
            t->q.bank[i].alg = (uint16_t)(i == 1 ? 0x0004 : 0x000a + i);
            t->q.bank[i].size = 3;
        }
        t->q.bank[3].alg = 0x0012; /* not even known */
    }
}

/* Any one PCR alone. */
static void
one_pcr(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    if (s == TB_SPEC) {
        memset(t->q.bank[0].bits, 0, 3);
        t->q.bank[0].bits[arg / 8] = (uint8_t)(1u << (arg % 8));
    }
}

static void
test_other_forms(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= 4; i++) {
        must_pass(TB_PUB, other_form, i);
        must_be_text("signature_alg", i == 4 ? "RSAPSS" : "RSASSA");
    }
    for (unsigned i = 0; i < 3; i++) {
        must_pass(TB_PUB, other_bank, i);
    }
    must_pass(TB_PUB, empty_banks, 0);
    for (unsigned i = 0; i < EVTPM_PCRS; i++) {
        char path[32];
        must_pass(TB_PUB, one_pcr, i);
        (void)snprintf(path, sizeof path, "quote.pcrs.%u", i);
        must_be_hex(path, b.q.pcr[i], 32);
        (void)snprintf(path, sizeof path, "quote.pcrs.%u", (i + 1) % EVTPM_PCRS);
        assert_null(qr_claim_find(&b.v.claims, path));
    }
}

/* TPMs leave leading zeros out; one signature in 128 has r or s shortened. */
static void
next_clock(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    if (s == TB_SPEC) {
        t->q.clock += arg;
    }
}

static void
test_short_ecdsa_numbers(void **state)
{
    unsigned shorter = 0;
    (void)state;
    for (unsigned i = 0; i < 3000 && shorter < 2; i++) {
        evtpm_init(&b.q, evgen_key(EVGEN_P256, 11));
        b.q.clock += i;
        evtpm_build(&b.q);
        if (b.q.sig_len < 4 + 2 * 34) {
            struct qr_tpm_sig sig;
            qr_verdict_init(&b.v);
            assert_int_equal(qr_tpm_sig_parse(qr_view_of(b.q.sig, b.q.sig_len), b.q.ak, &b.v, &sig),
                             QR_OK);
            assert_int_equal(sig.ecdsa_len, 64);
            assert_true(qr_evp_ecdsa_verify(b.q.ak, QR_SHA256, qr_view_of(b.q.msg, b.q.msg_len),
                                            qr_view_of(sig.ecdsa, sig.ecdsa_len)));
            shorter++;
        }
    }
    assert_int_equal(shorter, 2);
    must_pass(TB_EC, next_clock, 1);
    must_be_text("signature_alg", "ECDSA");
}

static void
p384(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_SPEC) {
        t->ak = evgen_key(EVGEN_P384, 5);
        t->q.ak = t->ak;
        t->q.hash = t->pub.scheme_hash = 0x000c;
        t->q.really = t->q.digest_hash = QR_SHA384;
        t->pub = evtpm_public_of(t->ak);
    }
}

static void
pem_only(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_SPEC) {
        struct evgen_buf pem = evgen_buf_over(t->pem, sizeof t->pem);
        evtpm_put_pem(&pem, t->ak);
        t->pem_len = pem.len;
    } else if (s == TB_EVIDENCE) {
        evtpm_swap(&t->e, QR_PART_AK_PUBLIC, 0, (qr_view){NULL, 0});
    }
}

static void
test_other_keys(void **state)
{
    qr_view v;
    (void)state;
    must_pass(TB_EC, p384, 0);
    must_be_uint("ak.bits", 384);
    must_pass(TB_PUB, pem_only, 0);
    assert_int_equal(b.v.check[QR_CHECK_AK], QR_CHECK_SKIPPED);
    assert_null(qr_claim_find(&b.v.claims, "ak_name")); /* nobody knows its attributes */
    assert_true(qr_claim_get_hex(&b.v.claims, "ak_spki_sha256", &v));
    must_pass(TB_EC, pem_only, 0);
}

/* Quotes of three banks, each in its slot; the values of slot 0 may stand in the bank's. */
static void
three_banks(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_hash_alg hash[] = {QR_SHA1, QR_SHA256, QR_SHA384};
    static struct evtpm q[3];
    (void)arg;
    if (s == TB_EVIDENCE) {
        evtpm_swap(&t->e, QR_PART_TPM_QUOTE, 0, (qr_view){NULL, 0});
        evtpm_swap(&t->e, QR_PART_TPM_SIG, 0, (qr_view){NULL, 0});
        evtpm_swap(&t->e, QR_PART_TPM_PCRS, 0, (qr_view){NULL, 0});
        for (uint8_t i = 0; i < 3; i++) {
            q[i] = t->q;
            evtpm_bank(&q[i], hash[i]);
            if (t->base == TB_LOG) {
                for (unsigned k = 0; k < EVTPM_PCRS; k++) {
                    memcpy(q[i].pcr[k], t->log.reg[i][k], 64);
                }
            }
            evtpm_build(&q[i]);
            evtpm_add(&q[i], (uint8_t)(i + 1), &t->e);
        }
    }
}

static void
values_of_bank(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_EVIDENCE) {
        qr_view v = qr_evidence_get(&t->e, QR_PART_TPM_PCRS);
        evtpm_swap(&t->e, QR_PART_TPM_PCRS, 0, (qr_view){NULL, 0});
        evtpm_swap(&t->e, QR_PART_TPM_PCRS, 2, v);
    }
}

static void
test_slots(void **state)
{
    int same = 0, on = 0;
    (void)state;
    must_pass(TB_PUB, three_banks, 0);
    must_be_hex("banks.sha1.quote.pcrs.7", b.q.pcr[7], 20);
    must_be_hex("banks.sha256.quote.pcrs.7", b.q.pcr[7], 32);
    must_be_hex("banks.sha384.quote.pcrs.7", b.q.pcr[7], 48);
    must_be_text("banks.sha384.signature_hash", "sha256");
    assert_null(qr_claim_find(&b.v.claims, "quote.pcrs.7"));
    must_pass(TB_PUB, values_of_bank, 0);
    /* With a log, each bank is replayed. */
    must_pass(TB_LOG, three_banks, 0);
    assert_int_equal(b.v.check[QR_CHECK_EVENT_LOG], QR_CHECK_PASS);
    for (int i = 0; i < 3; i++) {
        static const char *const path[] = {"banks.sha1.event_log_replay_matches.7",
                                           "banks.sha256.event_log_replay_matches.9",
                                           "banks.sha384.event_log_replay_matches.14"};
        assert_true(qr_claim_get_bool(&b.v.claims, path[i], &same));
        assert_true(same);
    }
    assert_true(qr_claim_get_bool(&b.v.claims, "event_log.secure_boot", &on));
    assert_true(on);
}

/* An index is longer than the certificate in it. */
static void
padded(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    if (s == TB_EVIDENCE) {
        tb_grow(t, QR_PART_AK_CERT, 0, 0, arg);
    }
}

/* Several CAs of one name: the one whose key is meant is taken, wherever it lies. */
static void
ca_in_slot(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static struct evgen_der other;
    if (s == TB_SPEC) {
        t->ca.no_ids = (int)(arg / 10);
        t->ca_changed = 1;
    } else if (s == TB_EVIDENCE) {
        struct evak twin = t->ca;
        twin.inter_spec.key = evgen_key(EVGEN_RSA2048, 0);
        evak_build(&twin);
        other = twin.inter;
        for (uint8_t i = 0; i < 4; i++) {
            evtpm_swap(&t->e, QR_PART_AK_INTERMEDIATE, i,
                       i == arg % 10 ? evgen_view(&t->ca.inter) : evgen_view(&other));
        }
    }
}

static void
test_certificates_as_they_come(void **state)
{
    (void)state;
    must_pass(TB_CERT, padded, 1);
    must_pass(TB_CERT, padded, 2000);
    for (unsigned i = 0; i < 4; i++) {
        must_pass(TB_CERT, ca_in_slot, i);
        must_pass(TB_CERT, ca_in_slot, 10 + i);
    }
}

static void
no_time(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_SPEC) {
        t->o.now_ms = -1;
        t->o.binder = (qr_view){NULL, 0};
    }
}

static void
test_without_time_or_question(void **state)
{
    (void)state;
    must_pass(TB_CERT, no_time, 0);
    assert_int_equal(b.v.check[QR_CHECK_VALIDITY], QR_CHECK_SKIPPED);
    assert_int_equal(b.v.check[QR_CHECK_BINDER], QR_CHECK_SKIPPED);
}

/* Replays and rollbacks show in clock and counters (86). */
static void
test_moments(void **state)
{
    struct qr_tpm_moment was, now;
    (void)state;
    must_pass(TB_PUB, NULL, 0);
    assert_true(qr_tpm_moment_of(&b.v.claims, &was));
    must_pass(TB_PUB, next_clock, 5);
    assert_true(qr_tpm_moment_of(&b.v.claims, &now));
    assert_int_equal(qr_tpm_compare(&was, &now), QR_TPM_LATER);
    assert_int_equal(qr_tpm_compare(&was, &was), QR_TPM_LATER);
    assert_int_equal(qr_tpm_compare(&now, &was), QR_TPM_EARLIER);
    struct qr_tpm_moment m = was;
    m.reset_count++;
    m.clock = 0; /* the clock may start again at a reset */
    assert_int_equal(qr_tpm_compare(&was, &m), QR_TPM_REBOOTED);
    assert_int_equal(qr_tpm_compare(&m, &was), QR_TPM_EARLIER);
    m = now;
    m.restart_count--;
    assert_int_equal(qr_tpm_compare(&was, &m), QR_TPM_EARLIER);
    m = now;
    m.safe = 0;
    assert_int_equal(qr_tpm_compare(&was, &m), QR_TPM_UNSAFE);
    qr_claims_init(&b.v.claims);
    assert_false(qr_tpm_moment_of(&b.v.claims, &m));
}

static void
test_names(void **state)
{
    enum qr_hash_alg h;
    (void)state;
    assert_string_equal(qr_hash_name(QR_SHA512), "sha512");
    assert_string_equal(qr_hash_name((enum qr_hash_alg)99), "unknown");
    assert_true(qr_hash_of_tpm(0x000d, &h) && h == QR_SHA512);
    assert_false(qr_hash_of_tpm(0x0012, &h));
    assert_string_equal(qr_tpm_slot_prefix(0), "");
    assert_string_equal(qr_tpm_slot_prefix(3), "banks.sha384.");
    assert_string_equal(qr_tpm_slot_prefix(4), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_base_is_genuine),
        cmocka_unit_test(test_claims_of_a_quote),
        cmocka_unit_test(test_uncertified_key_leaves_the_check_out),
        cmocka_unit_test(test_claims_of_a_certificate),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_short_ecdsa_numbers),
        cmocka_unit_test(test_other_keys),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_certificates_as_they_come),
        cmocka_unit_test(test_without_time_or_question),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
