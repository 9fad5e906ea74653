/* From versions to a status: which level matches, how statuses converge, advisories, exceptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/dcap.h"
#include "test/common/dcapkit.h"

#include <stdio.h>

static struct dcapkit k;

static json_t *
tcb(void)
{
    json_t *all = evjudge_claims(&k.j), *t = json_object_get(all, "tcb");
    assert_non_null(t);
    json_incref(t);
    json_decref(all);
    return t;
}

static void
assert_text(const char *member, const char *want)
{
    json_t *t = tcb();
    const json_t *is = evjudge_at(t, member);
    if (!is || !json_is_string(is) || strcmp(json_string_value(is), want) != 0) {
        fail_msg("tcb.%s: expected %s, found %s", member, want,
                 is && json_is_string(is) ? json_string_value(is) : "no text");
    }
    json_decref(t);
}

static void
assert_json(const char *member, const char *want)
{
    json_t *t = tcb(), *w = json_loads(want, JSON_DECODE_ANY, NULL);
    const json_t *is = evjudge_at(t, member);
    assert_non_null(w);
    if (!is || !json_equal(is, w)) {
        char *text = is ? json_dumps(is, JSON_ENCODE_ANY) : NULL;
        fail_msg("tcb.%s: expected %s, found %s", member, want, text ? text : "none");
    }
    json_decref(w);
    json_decref(t);
}

static void
run_valid(const char *what)
{
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, what);
}

static void
test_first_level(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V4);
    run_valid("platform as the first level asks");
    assert_text("level_status", "UpToDate");
    assert_text("tcb_date", "2025-08-13T00:00:00Z");
    assert_json("advisories", "[]");
    assert_text("tdx_module.id", "TDX_01");
    assert_text("tdx_module.status", "UpToDate");
    assert_json("tdx_module.mrsigner_ok", "true");
    assert_json("tdx_module.attr_ok", "true");
    assert_text("qe_status", "UpToDate");
    assert_text("final_status", "UpToDate");
}

/* One version lower than a level asks for leads to the next. */
static void
test_lower_levels(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        dcapkit_init(&k, EVGEN_TDX_V5_15);
        if (way == 0) {
            k.d.comp[0] = 4;
        } else if (way == 1) {
            k.d.comp[1] = 4;
        } else if (way == 2) {
            k.d.pce_svn = 12;
        } else {
            k.d.body[EVGEN_TD_TCB_SVN + 2] = 3;
        }
        run_valid("second level");
        assert_text("level_status", "OutOfDate");
        assert_text("final_status", "OutOfDate");
        assert_text("tcb_date", "2024-03-13T00:00:00Z");
        assert_json("advisories", "[\"INTEL-SA-01036\",\"INTEL-SA-01079\"]"); /* sorted */
    }
    dcapkit_init(&k, EVGEN_SGX_V3);
    k.d.pce_svn = 5;
    run_valid("third level");
    assert_text("level_status", "OutOfDateConfigurationNeeded");
    assert_json("tdx_module", "null");
}

/* From TDX 1.5 on, the module's versions are not the levels' business. */
static void
test_components_of_the_module(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V4);
    k.d.body[EVGEN_TD_TCB_SVN] = 2; /* below the 5 that all levels ask for */
    run_valid("old module");
    assert_text("level_status", "UpToDate");
    assert_text("tdx_module.status", "OutOfDate");
    assert_text("tdx_module.date", "2023-08-09T00:00:00Z");
    assert_json("tdx_module.advisories", "[\"INTEL-SA-01036\"]");
    assert_text("final_status", "OutOfDate");
    assert_json("advisories", "[\"INTEL-SA-01036\"]");

    dcapkit_init(&k, EVGEN_TDX_V4_PRE15);
    run_valid("before 1.5");
    assert_text("tdx_module.id", "tdxModule");
    assert_text("tdx_module.status", "(from tcbLevels)");
    assert_json("tdx_module", "{\"id\":\"tdxModule\",\"mrsigner_ok\":true,\"attr_ok\":true,"
                              "\"status\":\"(from tcbLevels)\"}");

    /* The id is the version in hexadecimal. */
    dcapkit_init(&k, EVGEN_TDX_V4);
    k.d.body[EVGEN_TD_TCB_SVN + 1] = 0x1f;
    k.d.tcb.modules[0].id = "TDX_1F";
    run_valid("module 31");
    assert_text("tdx_module.id", "TDX_1F");

    /* Bits that the mask leaves out may be anything. */
    dcapkit_init(&k, EVGEN_TDX_V4);
    k.d.tcb.modules[1].mask[3] = 0x0f;
    k.d.body[EVGEN_TD_SEAM_ATTRIBUTES + 3] = 0xf0;
    run_valid("masked attributes");
}

static const char *const all[] = {"UpToDate",
                                  "SWHardeningNeeded",
                                  "ConfigurationNeeded",
                                  "ConfigurationAndSWHardeningNeeded",
                                  "OutOfDate",
                                  "OutOfDateConfigurationNeeded",
                                  "Revoked"};

/* How good a status is: what a convergence may never raise. */
static int
is_worse_or_same(unsigned a, unsigned than)
{
    return (a & than) == than || (a & QR_TCB_REVOKED) != 0 ||
           ((a & QR_TCB_OUT_OF_DATE) != 0 &&
            (a | QR_TCB_SW_HARDENING | than) == (a | QR_TCB_SW_HARDENING));
}

static void
test_convergence(void **state)
{
    static const struct {
        unsigned level, module, qe, final;
    } row[] = {
        {0, 0, 0, 0}, {1, 0, 0, 1}, {2, 0, 0, 2}, {3, 0, 0, 3}, {4, 0, 0, 4}, {5, 0, 0, 5},
        {6, 0, 0, 6}, {0, 4, 0, 4}, {1, 4, 0, 4}, {2, 4, 0, 5}, {3, 4, 0, 5}, {4, 4, 0, 4},
        {5, 4, 0, 5}, {6, 4, 0, 6}, {0, 6, 0, 6}, {4, 6, 0, 6}, {0, 0, 4, 4}, {1, 0, 4, 4},
        {2, 0, 4, 5}, {3, 0, 4, 5}, {5, 0, 4, 5}, {0, 0, 6, 6}, {0, 4, 6, 6}, {6, 0, 0, 6},
        {0, 1, 0, 1}, {0, 2, 1, 3}, {0, 5, 0, 5}, {4, 2, 0, 5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        dcapkit_init(&k, i % 2 ? EVGEN_TDX_V4 : EVGEN_TDX_V5_15);
        k.d.tcb.level[0].status = all[row[i].level];
        k.d.tcb.modules[1].level[0].status = all[row[i].module];
        k.d.qe_identity.level[0].status = all[row[i].qe];
        run_valid("converged");
        assert_text("final_status", all[row[i].final]);
        assert_text("level_status", all[row[i].level]);
        assert_text("tdx_module.status", all[row[i].module]);
        assert_text("qe_status", all[row[i].qe]);
    }
    /* All 343: never better than any of the three. */
    for (unsigned n = 0; n < 343; n++) {
        unsigned part[3] = {0}, final = 0;
        for (unsigned j = 0, m = n; j < 3; j++, m /= 7) {
            assert_true(qr_dcap_status_of(qr_view_str(all[m % 7]), &part[j]));
        }
        const char *text = qr_dcap_status_text(part[0] | part[1] | part[2]);
        assert_non_null(text);
        assert_true(qr_dcap_status_of(qr_view_str(text), &final));
        for (unsigned j = 0; j < 3; j++) {
            assert_true(is_worse_or_same(final, part[j]));
        }
    }
}

static void
test_advisories(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V4);
    k.d.tcb.level[0].advisories = "[\"INTEL-SA-00002\",\"INTEL-SA-00001\",\"INTEL-SA-00002\"]";
    k.d.tcb.modules[1].level[0].advisories = "[\"INTEL-SA-00003\",\"INTEL-SA-00001\"]";
    k.d.qe_identity.level[0].advisories = "[\"INTEL-SA-00000\",\"INTEL-SA-000\"]";
    run_valid("advisories");
    assert_json("advisories", "[\"INTEL-SA-000\",\"INTEL-SA-00000\",\"INTEL-SA-00001\","
                              "\"INTEL-SA-00002\",\"INTEL-SA-00003\"]");
    assert_json("tdx_module.advisories", "[\"INTEL-SA-00001\",\"INTEL-SA-00003\"]");

    /* As many as there may be, three times. */
    static char many[3][64 * 28 + 2];
    dcapkit_init(&k, EVGEN_TDX_V4);
    for (unsigned list = 0; list < 3; list++) {
        size_t n = 0;
        many[list][n++] = '[';
        for (unsigned i = 0; i < QR_DCAP_ADVISORIES; i++) {
            n += (size_t)snprintf(many[list] + n, sizeof many[list] - n,
                                  "%s\"INTEL-SA-%u-012345678%03u\"", i ? "," : "", list, i);
        }
        (void)snprintf(many[list] + n, sizeof many[list] - n, "]");
    }
    k.d.tcb.level[0].advisories = many[0];
    k.d.tcb.modules[1].level[0].advisories = many[1];
    k.d.qe_identity.level[0].advisories = many[2];
    run_valid("192 advisories");
    json_t *t = tcb();
    assert_int_equal(json_array_size(json_object_get(t, "advisories")), 3 * QR_DCAP_ADVISORIES);
    json_decref(t);
}

/* "FMSPC 90c06f000000: component 8 >= 3 until DATE" */
static void
test_exception(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V5_15);
    k.d.comp[7] = 3;
    dcapkit_run(&k, 0);
    evjudge_refused(&k.j, "without an exception", QR_CHECK_TCB, QR_REASON_TCB);
    assert_non_null(strstr(k.j.v.sentence, "SGX component 8: expected at least 5, found 3"));
    assert_text("final_status", "NoMatchingTcbLevel");
    assert_json("tcb_date", "null");

    dcapkit_init(&k, EVGEN_TDX_V5_15);
    k.d.comp[7] = 3;
    k.exception = (struct qr_tcb_exception){
        .component = 8, .min_svn = 3, .until_ms = EVGEN_NOW_MS + EVGEN_DAY_MS};
    memcpy(k.exception.fmspc, k.d.fmspc, 6);
    k.j.o.exception = &k.exception;
    k.j.o.n_exceptions = 1;
    run_valid("with it");
    assert_text("final_status", "UpToDate");
    assert_json("exceptions", "[{\"list\":\"SGX\",\"component\":8,\"needed\":5,\"found\":3,"
                              "\"until\":\"2026-01-02T00:00:00Z\"}]");

    /* An exception that is not needed leaves no trace. */
    k.d.comp[7] = 5;
    run_valid("not needed");
    json_t *t = tcb();
    assert_null(json_object_get(t, "exceptions"));
    json_decref(t);

    /* A TDX component, in the TDX list only. */
    dcapkit_init(&k, EVGEN_TDX_V4);
    k.d.body[EVGEN_TD_TCB_SVN + 2] = 1;
    k.exception = (struct qr_tcb_exception){
        .tdx = 1, .component = 3, .min_svn = 1, .until_ms = EVGEN_NOW_MS + 1};
    memcpy(k.exception.fmspc, k.d.fmspc, 6);
    k.j.o.exception = &k.exception;
    k.j.o.n_exceptions = 1;
    run_valid("TDX component 3");
    assert_json("exceptions", "[{\"list\":\"TDX\",\"component\":3,\"needed\":4,\"found\":1,"
                              "\"until\":\"2026-01-01T00:00:00Z\"}]");
}

static void
test_texts(void **state)
{
    unsigned status = 99;
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_true(qr_dcap_status_of(qr_view_str(all[i]), &status));
        assert_string_equal(qr_dcap_status_text(status), all[i]);
    }
    status = 99;
    assert_false(qr_dcap_status_of(qr_view_str("UpToDat"), &status));
    assert_false(qr_dcap_status_of(qr_view_str("UpToDate "), &status));
    assert_int_equal(status, 99);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_level),
        cmocka_unit_test(test_lower_levels),
        cmocka_unit_test(test_components_of_the_module),
        cmocka_unit_test(test_convergence),
        cmocka_unit_test(test_advisories),
        cmocka_unit_test(test_exception),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
