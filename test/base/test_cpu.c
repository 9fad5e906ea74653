/* The answers against the kernel's own list of this machine's features. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/cpu.h"

#include <stdio.h>
#include <string.h>

/* Whether the first line of /proc/cpuinfo that lists features has this one; -1 if there is none. */
static int
listed(const char *x86, const char *arm)
{
    static char line[16384];
    FILE *f = fopen("/proc/cpuinfo", "r");
    int found = -1;

    assert_non_null(f);
    while (found < 0 && fgets(line, sizeof line, f)) {
        const char *name = strncmp(line, "flags", 5) == 0      ? x86
                           : strncmp(line, "Features", 8) == 0 ? arm
                                                               : NULL;
        if (name)
            found = strstr(line, name) != NULL;
    }
    (void)fclose(f);
    return found;
}

static void
test_clmul(void **state)
{
    const int want = listed(" pclmulqdq", " pmull");

    (void)state;
    if (want < 0)
        skip(); /* emulators may list nothing */
    assert_int_equal(qr_cpu_clmul(), want);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clmul)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
