/*
 * What holds for every platform: nothing verifies as something else, and no change of bytes crashes
 * the verifier or passes unnoticed.
 *
 * On generated evidence of all platforms: its own options verify it; under every other platform's name
 * it is refused; with a piece left out, with a piece of another evidence in its place, cut short,
 * and with bytes changed in three ways, the verdict is a refusal with a reason, or the change is
 * one that the format itself does not see (listed below, each with its reason) and every claim is as
 * before. QR_TEST_LONG=1: every length and every byte of the documents.
 */
#include "enclave-shim/verify/verify.h"
#include "protocol/base/mem.h"
#include "test/common/evgen_all.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct qr_verdict verdict;
static unsigned long documents;

/* Runs it; the verdict must contradict itself nowhere. 1: valid. */
static int
runs(const struct qr_evidence *e, const struct qr_verify_opts *o)
{
    qr_err err = qr_verify(e, o, &verdict, NULL);

    documents++;
    assert_true(err == QR_OK || err == QR_ERR_ATTESTATION);
    assert_int_equal(err == QR_OK, verdict.reason == QR_REASON_NONE);
    int failed = 0;
    for (int c = 0; c < QR_CHECK_COUNT; c++) {
        failed += verdict.check[c] == QR_CHECK_FAIL;
    }
    if (err != QR_OK) {
        assert_int_equal(failed, 1);
        assert_int_equal(verdict.check[verdict.failed], QR_CHECK_FAIL);
        assert_true(verdict.sentence[0] != '\0');
        for (const char *p = verdict.sentence; *p; p++) {
            assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
        }
    } else {
        assert_int_equal(failed, 0);
    }
    return err == QR_OK;
}

static void
refused(const char *what, const char *name, const struct qr_evidence *e,
        const struct qr_verify_opts *o)
{
    if (runs(e, o)) {
        fail_msg("%s: %s is accepted", name, what);
    }
}

static void
test_genuine(void **state)
{
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        struct qr_verify_opts o = evall_opts(i);
        const struct evall *a = evall_get(i);
        o.binder = a->binds ? evall_binder() : (qr_view){NULL, 0};
        if (!runs(&a->e, &o)) {
            fail_msg("%s: %s", a->name, verdict.sentence);
        }
        assert_int_equal(verdict.check[QR_CHECK_BINDER],
                         a->binds ? QR_CHECK_PASS : QR_CHECK_SKIPPED);
        /* The product's own roots believe none of these vendors; keys that are handed over
         * beside the evidence are believed by whoever hands them over. */
        o.roots = NULL;
        if (qr_evidence_get(&a->e, QR_PART_AK_PEM).p ||
            qr_evidence_get(&a->e, QR_PART_AK_PUBLIC).p || qr_evidence_get(&a->e, QR_PART_JWKS).p) {
            continue;
        }
        refused("a throwaway vendor", a->name, &a->e, &o);
        assert_int_equal(verdict.reason, QR_REASON_UNTRUSTED_ROOT);
    }
}

static void
test_other_platforms(void **state)
{
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *a = evall_get(i);
        struct qr_verify_opts o = evall_opts(i);
        for (int kind = 0; kind <= 16; kind++) {
            struct qr_evidence e = a->e;
            e.kind = (enum qr_evidence_kind)kind;
            if (kind == (int)a->e.kind) {
                continue;
            }
            /* Parts of composite evidence are evidence of their own, of less. */
            int part = (a->e.kind == QR_EV_GCP_SNP && kind == QR_EV_SNP) ||
                       (a->e.kind == QR_EV_GCP_TDX && kind == QR_EV_TDX) ||
                       (a->e.kind == QR_EV_AZURE_TDX && kind == QR_EV_TDX) ||
                       ((a->e.kind == QR_EV_GCP_SNP || a->e.kind == QR_EV_GCP_TDX) &&
                        (kind == QR_EV_TPM || kind == QR_EV_GCP_AK));
            if (runs(&e, &o) && !part) {
                fail_msg("%s is accepted as %s", a->name,
                         qr_evidence_kind_name((enum qr_evidence_kind)kind));
            }
        }
    }
}

/* All binders but the right one; an empty one, longer ones and beginnings included. */
static void
test_binders(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 16, 31, 32, 33, 63, 64, 65, 96};
    uint8_t b[96];
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *a = evall_get(i);
        struct qr_verify_opts o = evall_opts(i);
        for (size_t k = 0; a->binds && k < sizeof lengths / sizeof lengths[0]; k++) {
            size_t len = lengths[k];
            memset(b, 0, sizeof b);
            memcpy(b, evall_binder().p, 32);
            b[31] ^= len == 32;
            o.binder = qr_view_of(b, len);
            /* Zeros behind the right one are what a longer field holds anyway. */
            if (len <= 32 || len > 64) {
                refused("another binder", a->name, &a->e, &o);
                assert_int_equal(verdict.reason, QR_REASON_BINDER);
            }
        }
    }
}

static int
is_set(const char *name)
{
    const char *v = getenv(name);
    return v && *v == '1';
}

static void
test_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *a = evall_get(i);
        struct qr_verify_opts o = evall_opts(i);
        for (size_t k = 0; k < a->e.n; k++) {
            struct qr_evidence e = {.kind = a->e.kind};
            for (size_t m = 0; m < a->e.n; m++) {
                if (m != k) {
                    e.item[e.n++] = a->e.item[m];
                }
            }
            refused(qr_part_name(a->e.item[k].part), a->name, &e, &o);
            /* The piece of other evidence in its place. */
            size_t most = is_set("QR_TEST_QUICK") ? 3 : evall_n();
            for (size_t j = 1; j <= most; j++) {
                const struct evall *other = evall_get((i + j) % evall_n());
                qr_view v = qr_evidence_get_slot(&other->e, a->e.item[k].part, a->e.item[k].slot);
                if (!v.p || qr_view_eq(v, a->e.item[k].bytes)) {
                    continue;
                }
                e = a->e;
                e.item[k].bytes = v;
                (void)runs(&e, &o);
            }
        }
    }
}

/* A copy of its own, exactly as long: a read past its end is seen by the sanitizers. */
static int
runs_with(const struct evall *a, const struct qr_verify_opts *o, size_t k, const uint8_t *p,
          size_t len)
{
    struct qr_evidence e = a->e;
    uint8_t *own = malloc(len ? len : 1);

    assert_non_null(own);
    memcpy(own, p, len);
    e.item[k].bytes = qr_view_of(own, len);
    int ok = runs(&e, o);
    free(own);
    return ok;
}

/* The piece that is the evidence; the others endorse it. */
static int
is_document(enum qr_part part)
{
    return part == QR_PART_NITRO_DOCUMENT || part == QR_PART_SNP_REPORT || part == QR_PART_QUOTE ||
           part == QR_PART_HCL_REPORT || part == QR_PART_TPM_QUOTE || part == QR_PART_TOKEN;
}

/* Distance of the places that are looked at: all of a document's in the long set. */
static size_t
step_of(enum qr_part part, size_t len)
{
    size_t most = is_set("QR_TEST_QUICK") ? 5 : 24;

    if (is_set("QR_TEST_LONG")) {
        most = is_document(part) ? len : 150;
    }
    return len <= most ? 1 : len / most + 1;
}

static void
test_lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *a = evall_get(i);
        struct qr_verify_opts o = evall_opts(i);
        for (size_t k = 0; k < a->e.n; k++) {
            qr_view v = a->e.item[k].bytes;
            size_t step = step_of(a->e.item[k].part, v.len);
            for (size_t cut = 1; cut <= v.len; cut += step) {
                size_t len = v.len - cut;
                /* What is cut off may be padding, or white space behind a document. */
                if (runs_with(a, &o, k, v.p, len)) {
                    for (size_t rest = len; rest < v.len; rest++) {
                        int blank = v.p[rest] == 0 || v.p[rest] == '\n';
                        if (!blank) {
                            fail_msg("%s: %s of %zu bytes cut at %zu is accepted", a->name,
                                     qr_part_name(a->e.item[k].part), v.len, len);
                        }
                    }
                }
            }
        }
    }
}

/* Bytes that no verifier of that format looks at. */
static int
is_unseen(enum qr_evidence_kind kind, enum qr_part part, size_t at)
{
    switch (part) {
    case QR_PART_HCL_REPORT:
        /* The TDREPORT is for the local processor; what it says, the quote says again, signed. */
        return kind == QR_EV_AZURE_TDX && at >= 32 && at < 1216;
    case QR_PART_AK_PEM:
    case QR_PART_TCB_CHAIN:
        return 1; /* PEM: line ends and the unused bits of base64's last letter */
    case QR_PART_TCB_INFO_SIG:
    case QR_PART_QE_IDENTITY_SIG:
        return 1; /* hexadecimal in either case */
    case QR_PART_JWKS:
        return 1; /* members of other keys, and texts that say nothing */
    default:
        return 0;
    }
}

/* The claims of the last verdict; a set does not move, so they are kept as text. */
static size_t
claims_text(char out[static 262144])
{
    size_t len = 0;
    assert_int_equal(qr_claims_json(&verdict.claims, out, 262144, &len), QR_OK);
    return len;
}

static void
test_bytes(void **state)
{
    (void)state;
    static uint8_t copy[QR_EVIDENCE_TOTAL_MAX];
    static char genuine[262144], now[262144];
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *a = evall_get(i);
        struct qr_verify_opts o = evall_opts(i);
        assert_true(runs(&a->e, &o));
        size_t n_genuine = claims_text(genuine);
        for (size_t k = 0; k < a->e.n; k++) {
            qr_view v = a->e.item[k].bytes;
            enum qr_part part = a->e.item[k].part;
            memcpy(copy, v.p, v.len);
            size_t step = step_of(part, v.len);
            for (size_t at = (i + k) % step; at < v.len; at += step) {
                const uint8_t to[] = {0x00, 0xff, (uint8_t)(v.p[at] ^ (1u << at % 8))};
                for (size_t m = 0; m < sizeof to; m++) {
                    if (to[m] == v.p[at] || (is_set("QR_TEST_QUICK") && m != (at + k) % 3)) {
                        continue;
                    }
                    copy[at] = to[m];
                    struct qr_evidence e = a->e;
                    e.item[k].bytes = qr_view_of(copy, v.len);
                    if (runs(&e, &o)) {
                        if (!is_unseen(a->e.kind, part, at)) {
                            fail_msg("%s: %s with %02x for %02x at %zu is accepted", a->name,
                                     qr_part_name(part), to[m], v.p[at], at);
                        }
                        assert_int_equal(claims_text(now), n_genuine);
                        assert_memory_equal(now, genuine, n_genuine);
                    }
                    copy[at] = v.p[at];
                }
            }
        }
    }
    printf("documents judged: %lu\n", documents);
}

/* More than any verifier looks at: refused before anything is parsed. */
static void
test_sizes(void **state)
{
    (void)state;
    const size_t most = (size_t)17 * 1024 * 1024;
    uint8_t *big = calloc(1, most);
    assert_non_null(big);
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *a = evall_get(i);
        struct qr_verify_opts o = evall_opts(i);
        for (size_t k = 0; k < a->e.n; k++) {
            struct qr_evidence e = a->e;
            size_t blocks = 0, more = 0, bytes = 0;
            memcpy(big, a->e.item[k].bytes.p, a->e.item[k].bytes.len);
            e.item[k].bytes = qr_view_of(big, most);
            qr_alloc_stats(&bytes, &blocks);
            refused("17 MiB", a->name, &e, &o);
            assert_int_equal(verdict.reason, QR_REASON_RESOURCE_LIMIT);
            assert_int_equal(verdict.failed, QR_CHECK_LIMITS);
            qr_alloc_stats(&bytes, &more);
            assert_int_equal(blocks, more);
        }
    }
    free(big);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine), cmocka_unit_test(test_other_platforms),
        cmocka_unit_test(test_binders), cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
