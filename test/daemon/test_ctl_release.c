/*
 * quorate image release as its users see it: a key for the image, a statement beside it, what is refused.
 */
#include "daemon/ctl.h"
#include "daemon/stamp.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/ctlkit.h"

#include <dirent.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define H16 "0123456789abcdef"
#define H64 H16 H16 H16 H16
#define Z16 "0000000000000000"
#define Z64 Z16 Z16 Z16 Z16

static int
setup(void **state)
{
    struct qr_rng rng = qr_rng_system();
    (void)state;
    snprintf(ctl_home, sizeof ctl_home, "/tmp/test_ctl_XXXXXX");
    assert_non_null(mkdtemp(ctl_home));
    assert_true(sodium_init() >= 0);
    assert_int_equal(qr_hash_init(), QR_OK);
    assert_int_equal(qr_group_init(&rng), QR_OK);
    assert_int_equal(qr_stamp_init(), QR_OK);
    assert_int_equal(ctl_run("key new", "--out @/rel"), 0);
    assert_int_equal(ctl_run("key new", "--out @/other"), 0);
    assert_int_equal(ctl_run("key new", "--scheme ed25519 --out @/ed"), 0);
    assert_int_equal(ctl_run("key new", "--scheme secp256k1 --out @/koblitz"), 0);
    assert_int_equal(ctl_run("image release key", "@/rel --out @/rel.der"), 0);
    assert_int_equal(strlen(ctl_out), 69);
    assert_memory_equal(ctl_out, "000b", 4);
    assert_int_equal(ctl_run("image release key", "@/other --out @/other.der"), 0);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    DIR *d = opendir(ctl_home);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        unlink(ctl_path(e->d_name));
    }
    closedir(d);
    rmdir(ctl_home);
    return 0;
}

static void
test_sign_and_show(void **state)
{
    (void)state;
    static const char json[] = "{\"platform\":\"uki\",\"quote.pcrs.4\":\"" H64
                               "\",\"quote.pcrs.11\":\"" Z64 "\",\"sections\":[{\"a\":1}]}";
    ctl_write("pcrs.json", json, sizeof json - 1);
    assert_int_equal(ctl_run("image release sign", "--key @/rel --release 7 --pcrs @/pcrs.json "
                                                   "--pcr 7=" H64 " --out @/st"),
                     0);
    assert_int_equal(ctl_run("image release show", "--key @/rel.der @/st"), 0);
    assert_string_equal(ctl_out, "release 7\nPCR4 " H64 "\nPCR7 " H64 "\nPCR11 " Z64 "\n");
    assert_int_equal(ctl_run("image release show", "--json --key @/rel.der @/st"), 0);
    assert_string_equal(ctl_out,
                        "{\"release\":7,\"quote.pcrs.4\":\"" H64 "\",\"quote.pcrs.7\":\"" H64
                        "\",\"quote.pcrs.11\":\"" Z64 "\"}\n");
    /* Its own output is input again. */
    ctl_write("again.json", ctl_out, strlen(ctl_out));
    assert_int_equal(
        ctl_run("image release sign", "--key @/rel --release 8 --pcrs @/again.json --out @/st8"),
        0);
    /* Nothing is overwritten. */
    assert_int_not_equal(
        ctl_run("image release sign", "--key @/rel --release 8 --pcr 7=" H64 " --out @/st8"), 0);
    assert_int_equal(ctl_run("image release show", "--key @/other.der @/st"), QR_EXIT_REFUSED);
    ctl_says("not signed by this image's release key");
}

static void
test_refused(void **state)
{
    static const struct {
        const char *options;
        int code;
        const char *says;
    } rows[] = {
        {"--key @/rel --release 1 --out @/x", QR_EXIT_USAGE, "at least one PCR"},
        {"--key @/rel --release 0 --pcr 7=" H64 " --out @/x", QR_EXIT_USAGE, "--release N"},
        {"--key @/rel --release 1000001 --pcr 7=" H64 " --out @/x", QR_EXIT_USAGE, "release"},
        {"--key @/ed --release 1 --pcr 7=" H64 " --out @/x", QR_EXIT_CONFIG, "must be P-256"},
        {"--key @/koblitz --release 1 --pcr 7=" H64 " --out @/x", QR_EXIT_CONFIG, "must be P-256"},
        {"--key @/rel --release 1 --pcr 24=" H64 " --out @/x", QR_EXIT_CONFIG, "is no PCR"},
        {"--key @/rel --release 1 --pcr 07=" H64 " --out @/x", QR_EXIT_CONFIG, "is no PCR"},
        {"--key @/rel --release 1 --pcr =" H64 " --out @/x", QR_EXIT_CONFIG, "is no PCR"},
        {"--key @/rel --release 1 --pcr 7 --out @/x", QR_EXIT_USAGE, "NUMBER=HEX"},
        {"--key @/rel --release 1 --pcr 7=" H16 " --out @/x", QR_EXIT_CONFIG, "64 digits"},
        {"--key @/rel --release 1 --pcr 7=" H64 "00 --out @/x", QR_EXIT_CONFIG, "64 digits"},
        {"--key @/rel --release 1 --pcr 7=" H64 " --pcr 7=" Z64 " --out @/x", QR_EXIT_CONFIG,
         "given twice"},
        {"--key @/rel --release 1 --pcrs @/none.json --out @/x", QR_EXIT_CONFIG, "names no PCR"},
        {"--key @/rel --release 1 --pcrs @/bad.json --out @/x", QR_EXIT_CONFIG, "bad.json"},
        {"--key @/rel --release 1 --pcrs @/odd.json --out @/x", QR_EXIT_CONFIG, "is no PCR"},
        {"--key @/rel --release 1 --pcrs @/nitro.json --out @/x", QR_EXIT_CONFIG, "nitro.json"},
    };

    (void)state;
    ctl_write("none.json", "{\"platform\":\"uki\"}", 18);
    ctl_write("bad.json", "{\"quote.pcrs.4\":", 16);
    ctl_write("odd.json", "{\"quote.pcrs.x\":\"00\"}", 21);
    static const char nitro[] = "{\"quote.pcrs.0\":\"" H64 H16 H16 "\"}";
    ctl_write("nitro.json", nitro, sizeof nitro - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ctl_run("image release sign", "%s", rows[i].options), rows[i].code);
        ctl_says(rows[i].says);
        assert_int_not_equal(access(ctl_path("x"), F_OK), 0);
    }
    assert_int_equal(ctl_run("image release key", "@/ed --out @/x"), QR_EXIT_CONFIG);
    ctl_says("must be P-256");
}

static void
test_show_refuses(void **state)
{
    char st[1024];
    (void)state;
    assert_int_equal(
        ctl_run("image release sign", "--key @/rel --release 3 --pcr 7=" H64 " --out @/st3"), 0);
    FILE *f = fopen(ctl_path("st3"), "rb");
    assert_non_null(f);
    size_t n = fread(st, 1, sizeof st, f);
    fclose(f);
    ctl_write("cut", st, n - 1);
    assert_int_equal(ctl_run("image release show", "--key @/rel.der @/cut"), QR_EXIT_CONFIG);
    st[12] ^= 1; /* release 2 */
    ctl_write("changed", st, n);
    assert_int_equal(ctl_run("image release show", "--key @/rel.der @/changed"), QR_EXIT_REFUSED);
    st[12] ^= 1;
    st[0] = 'X';
    ctl_write("other", st, n);
    assert_int_equal(ctl_run("image release show", "--key @/rel.der @/other"), QR_EXIT_CONFIG);
    ctl_says("no release statement");
    assert_int_equal(ctl_run("image release show", "--key @/st3 @/st3"), QR_EXIT_CONFIG);
    ctl_says("release key");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_and_show),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_show_refuses),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
