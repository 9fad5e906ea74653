/* AWS Nitro: genuine documents in all their forms, claims, times, binders, real cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/evgen_nitro.h"
#include "test/common/evjudge.h"

#include <stdio.h>

static struct evnitro doc;
static struct evjudge j;
static const uint8_t binder[32] = {1, 2, 3, 4, 5, 6, 7, 8};

static void
judge(void)
{
    evjudge_init(&j, QR_EV_NITRO);
    evgen_pin(&j.roots, QR_ROOT_AWS_NITRO, &doc.cert[EVNITRO_ROOT]);
    evjudge_add(&j, QR_PART_NITRO_DOCUMENT, evnitro_doc(&doc));
    evjudge_run(&j);
}

static void
test_genuine(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        evnitro_init(&doc);
        doc.indefinite = form & 1;
        doc.tag = form & 2 ? 18 : -1;
        evnitro_build(&doc);
        judge();
        evjudge_valid(&j, "genuine");
    }
}

static void
test_real(void **state)
{
    static const struct evjudge_reason reasons[] = {
        {"base-2026-01-corrupt", QR_REASON_MALFORMED},
    };
    (void)state;
    (void)binder;
    printf("nitro: %zu\n", evjudge_real(QR_EV_NITRO, reasons, 1, 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
