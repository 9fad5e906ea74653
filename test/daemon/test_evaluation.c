/*
 * What is published for operators keeps the evaluation tier out, and its documents mean the same in
 * both tiers: example policies pin what a stock image cannot have, user data reads as it should.
 */
#include "daemon/userdata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char text[65536];

static void
read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) {
        fail_msg("%s: run this from the root of the source tree", path);
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
}

/*
 * A stock image boots another loader and kernel, so PCR 4 is another; it has no UKI, so PCR 11 is zero;
 * its own command line and initrd are in PCR 9. That evidence with other registers is refused is
 * test_platforms' ("measurement"); here: that each published set names all five.
 */
static void
test_policies_pin(void **state)
{
    (void)state;
    static const char *const policies[] = {"one", "two", "three"};
    static const char *const pinned[] = {"4", "7", "9", "11", "12"};
    static const unsigned vtpm[] = {0, 1, 2};
    char path[64], member[40];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "deploy/policies/%s-cloud%s.json", policies[i],
                       i ? "s" : "");
        read_file(path);
        assert_null(strstr(text, "insecure_sim"));
        unsigned sets = 0;
        for (char *p = text; (p = strstr(p, "-vtpm\"")) != NULL; p++) {
            char *expect = strstr(p, "\"expect\"");
            char *platforms = strstr(text, "\"platforms\": {");
            if (!expect || p > platforms) {
                continue; /* a rule for the platform, not a set */
            }
            sets++;
            char *end = strchr(expect, '}');
            assert_non_null(end);
            for (size_t k = 0; k < sizeof pinned / sizeof pinned[0]; k++) {
                (void)snprintf(member, sizeof member, "\"quote.pcrs.%s\"", pinned[k]);
                char *at = strstr(expect, member);
                if (!at || at > end) {
                    fail_msg("%s: a set does not pin PCR %s", path, pinned[k]);
                }
            }
        }
        assert_int_equal(sets, vtpm[i]);
    }
}

static void
test_user_data(void **state)
{
    (void)state;
    struct qr_userdata u[2];
    char err[QR_USERDATA_ERR_MAX];
    static const char *const files[] = {"deploy/gcp/cloud-init.yaml",
                                        "deploy/azure/cloud-init.yaml"};
    for (int i = 0; i < 2; i++) {
        read_file(files[i]);
        if (qr_userdata_parse((const uint8_t *)text, strlen(text), &u[i], err) != QR_OK) {
            fail_msg("%s: %s", files[i], err);
        }
        /* The map is whole without what cloud-init would obey. */
        struct qr_userdata alone;
        char *rest = strstr(text, "# ---- evaluation tier only");
        assert_non_null(rest);
        assert_int_equal(
            qr_userdata_parse((const uint8_t *)text, (size_t)(rest - text), &alone, err), QR_OK);
        assert_memory_equal(&alone, &u[i], sizeof alone);
    }
    assert_string_equal(qr_userdata_get(&u[0], "party", "cloud"), "gcp");
    assert_string_equal(qr_userdata_get(&u[1], "party", "cloud"), "azure");
    assert_string_equal(qr_userdata_get(&u[0], "pool", "low"),
                        qr_userdata_get(&u[1], "pool", "low"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies_pin),
        cmocka_unit_test(test_user_data),
    };
    return cmocka_run_group_tests_name("daemon/evaluation", tests, NULL, NULL);
}
