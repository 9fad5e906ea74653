/*
 * What must be refused of SEV-SNP evidence, one rule at a time: each document is genuine but for one
 * change, and is signed again by the throwaway vendor, so that the rule itself refuses it.
 *
 * A row is a change, a range of its argument, and the check and reason that must answer. Each
 * argument makes a document of its own; a changed byte under an old signature is none of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "test/common/snp_break.h"

#define ANY_DATE (EVGEN_NOW_MS + EVGEN_DAY_MS)

/* ---- the table ---- */

enum { VCEK, VLEK };
#define M (1u << EVSNP_MILAN)
#define G (1u << EVSNP_GENOA)
#define T (1u << EVSNP_TURIN)
#define V(n) (1u << (n))

static struct snp_scene scene;
static struct qr_roots roots;

static const struct row {
    const char *name;
    unsigned lines, versions; /* one document for each */
    int vlek;
    snp_change *before, *after;
    uint64_t first, last, step;
    enum qr_check check;
    enum qr_reason reason;
} rows[] = {
#define ROW(n, l, v, k, b, a, from, to, by, c, r)                                                  \
    {n, l, v, k, snp_break_##b, snp_break_##a, from, to, by, QR_CHECK_##c, QR_REASON_##r},
#include "test/verify/snp_refused.def"
#undef ROW
};

static unsigned n_documents, hits[QR_CHECK_COUNT];

/* Makes the document of one row, line, version and argument; 1 when it was refused as it must. */
static int
refuse(const struct row *r, enum evsnp_line line, unsigned version, uint64_t arg)
{
    static struct qr_verdict v;
    struct qr_verify_out out;

    memset(&scene, 0, sizeof scene);
    scene.o = (struct qr_verify_opts){.roots = &roots, .now_ms = ANY_DATE};
    evsnp_init(&scene.s, line, version);
    if (r->vlek) {
        evsnp_vlek(&scene.s);
    }
    if (r->before) {
        r->before(&scene, arg);
    }
    evsnp_build(&scene.s);
    if (r->after) {
        r->after(&scene, arg);
    }
    evsnp_evidence(&scene.s, QR_EV_SNP, &scene.e);
    qr_err e = qr_verify(&scene.e, &scene.o, &v, &out);
    n_documents++;
    hits[r->check]++;
    if (e == QR_ERR_ATTESTATION && v.reason == r->reason && v.failed == r->check &&
        v.check[r->check] == QR_CHECK_FAIL && v.sentence[0] != 0) {
        return 1;
    }
    print_error("%s %s v%u %llu: expected %s at %s, found %s at %s: %s\n", r->name,
                evsnp_line_name(line), version, (unsigned long long)arg, qr_reason_word(r->reason),
                qr_check_name(r->check), qr_reason_word(v.reason),
                v.reason == QR_REASON_NONE ? "none" : qr_check_name(v.failed), v.sentence);
    return 0;
}

static unsigned
refuse_row(const struct row *r)
{
    unsigned bad = 0;
    for (int line = 0; line < EVSNP_LINES; line++) {
        for (unsigned version = 2; version <= 5; version++) {
            if ((r->lines >> line & 1) == 0 || (r->versions >> version & 1) == 0) {
                continue;
            }
            for (uint64_t arg = r->first; arg <= r->last; arg += r->step) {
                bad += !refuse(r, (enum evsnp_line)line, version, arg);
            }
        }
    }
    return bad;
}

static void
test_every_document_is_refused(void **state)
{
    static const enum qr_check all[] = {
        QR_CHECK_PARSE,        QR_CHECK_ALGORITHM,   QR_CHECK_ROOT,      QR_CHECK_CHAIN,
        QR_CHECK_VALIDITY,     QR_CHECK_CRL,         QR_CHECK_SIGNATURE, QR_CHECK_KEY_KIND,
        QR_CHECK_PRODUCT,      QR_CHECK_TCB_BINDING, QR_CHECK_CHIP_ID,   QR_CHECK_COLLATERAL,
        QR_CHECK_RUNTIME_DATA, QR_CHECK_BINDER,
    };
    unsigned bad = 0;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bad += refuse_row(&rows[i]);
    }
    printf("SEV-SNP documents refused: %u of %u\n", n_documents - bad, n_documents);
    assert_int_equal(bad, 0);
    assert_true(n_documents >= 200);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_true(hits[all[i]] >= 3);
    }
}

/* What the rows start from is accepted: a row that changed nothing would fail. */
static void
test_unchanged_is_accepted(void **state)
{
    static struct qr_verdict v;

    (void)state;
    for (int line = 0; line < EVSNP_LINES; line++) {
        for (unsigned version = 2; version <= 5; version++) {
            for (int vlek = 0; vlek < 2; vlek++) {
                memset(&scene, 0, sizeof scene);
                scene.o = (struct qr_verify_opts){.roots = &roots, .now_ms = ANY_DATE};
                evsnp_init(&scene.s, (enum evsnp_line)line, version);
                if (vlek) {
                    evsnp_vlek(&scene.s);
                }
                evsnp_crl(&scene.s, NULL, 0);
                snp_break_want(&scene, 32);
                evsnp_build(&scene.s);
                evsnp_evidence(&scene.s, QR_EV_SNP, &scene.e);
                assert_int_equal(qr_verify(&scene.e, &scene.o, &v, NULL), QR_OK);
            }
        }
    }
}

static int
make_roots(void **state)
{
    (void)state;
    evsnp_roots(&roots);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged_is_accepted),
        cmocka_unit_test(test_every_document_is_refused),
    };
    return cmocka_run_group_tests(tests, make_roots, NULL);
}
