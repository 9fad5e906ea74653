/*
 * quorate measurements and policy check as their users see them: files, exit codes, what is said.
 */
#include "daemon/ctl.h"
#include "daemon/stamp.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/ctlkit.h"
#include "test/common/peerkit.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CLUSTER "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"
#define B4 "11111111"
#define B48 B4 B4 B4 B4 B4 B4 B4 B4 B4 B4 B4 B4

static const char manifest[] =
    "{\"v\":1,\"type\":\"quorate/measurements\",\"release\":\"1.2.0\",\n"
    "\"source\":\"0123456789012345678901234567890123456789\",\"recipe\":\"" CLUSTER "\",\n"
    "\"valid_from\":\"2026-11-01T00:00:00Z\",\"valid_until\":\"2027-05-01T00:00:00Z\",\n"
    "\"supersedes\":[\"1.1.0\"],\"revoked\":[\"1.0.3\"],\n"
    "\"measurements\":[{\"name\":\"nitro\",\"platform\":\"aws-nitro\",\n"
    "\"expect\":{\"pcrs.0\":\"" B48 "\"}}]}\n";

static char ann[80], ben[80], eve[80];

static int
setup(void **state)
{
    (void)state;
    struct qr_rng rng = qr_rng_system();
    snprintf(ctl_home, sizeof ctl_home, "/tmp/test_ctl_XXXXXX");
    assert_non_null(mkdtemp(ctl_home));
    assert_true(sodium_init() >= 0);
    assert_int_equal(qr_hash_init(), QR_OK);
    assert_int_equal(qr_group_init(&rng), QR_OK);
    assert_int_equal(qr_stamp_init(), QR_OK);
    assert_int_equal(ctl_run("key new", "--scheme ed25519 --out @/ann"), 0);
    snprintf(ann, sizeof ann, "%.64s", ctl_out);
    assert_int_equal(ctl_run("key new", "--out @/ben"), 0);
    snprintf(ben, sizeof ben, "%.66s", ctl_out);
    assert_int_equal(ctl_run("key new", "--scheme ed25519 --out @/eve"), 0);
    snprintf(eve, sizeof eve, "%.64s", ctl_out);
    assert_int_equal(ctl_run("key new", "--scheme secp256k1 --out @/koblitz"), 0);
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
expect_json(const char *member, const char *value)
{
    json_t *j = json_loads(ctl_out, 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, member)), value);
    json_decref(j);
}

static void
test_sign_verify(void **state)
{
    char keys[512], text[4096];

    (void)state;
    snprintf(keys, sizeof keys, "--key ann:%s:ed25519 --key ben:%s --key eve:%s:ed25519 --need 2",
             ann, ben, eve);
    ctl_write("m", manifest, strlen(manifest));
    assert_int_equal(ctl_run("measurements verify", "%s @/m", keys), QR_EXIT_REFUSED);
    ctl_says("0 of 2 needed release keys signed it (none)");
    assert_int_equal(ctl_run("measurements sign", "--key @/ann @/m"), 0);
    assert_int_equal(ctl_run("measurements verify", "%s @/m", keys), QR_EXIT_REFUSED);
    ctl_says("1 of 2 needed release keys signed it (ann)");
    /* a second time adds nothing */
    assert_int_equal(ctl_run("measurements sign", "--key @/ann --json @/m"), 0);
    assert_string_equal(ctl_out, "{\"ok\":true,\"added\":false}\n");
    ctl_says("already");
    assert_int_equal(ctl_run("measurements sign", "--key @/ben --json @/m"), 0);
    assert_string_equal(ctl_out, "{\"ok\":true,\"added\":true}\n");
    assert_int_equal(ctl_run("measurements verify", "%s @/m", keys), 0);
    assert_non_null(strstr(ctl_out, "ok: release 1.2.0, SHA-256 "));
    assert_non_null(strstr(ctl_out, "signed by ann ben\n"));
    assert_int_equal(ctl_run("measurements verify", "--json %s @/m", keys), 0);
    expect_json("release", "1.2.0");
    assert_non_null(strstr(ctl_out, "\"signed_by\":[\"ann\",\"ben\"]}"));
    ctl_read(ctl_path("m.sigs"), text, sizeof text);
    assert_int_equal(strncmp(text, "ed25519 ", 8), 0);
    assert_non_null(strstr(text, "\np256 "));
    /* the line alone, for somebody else to add */
    assert_int_equal(ctl_run("measurements sign", "--key @/eve --print @/m"), 0);
    assert_int_equal(strlen(ctl_out), 8 + 65 + 128 + 1);
    /* the document is changed after the signatures */
    ctl_write("m", manifest, strlen(manifest) - 1);
    assert_int_equal(ctl_run("measurements verify", "%s @/m", keys), QR_EXIT_REFUSED);
    ctl_says("\"ann\" did not sign these bytes");
    assert_int_equal(ctl_run("measurements sign", "--key @/ann @/m"), QR_EXIT_REFUSED);
    ctl_says("remove the line");
    /* keys that cannot sign, keys that are one, more than there are */
    assert_int_equal(ctl_run("measurements sign", "--key @/koblitz @/m"), QR_EXIT_CONFIG);
    ctl_says("must be Ed25519 or P-256");
    assert_int_equal(ctl_run("measurements verify", "--key a:%s --key b:%s --need 1 @/m", ben, ben),
                     QR_EXIT_USAGE);
    assert_int_equal(ctl_run("measurements verify", "--key a:%s --need 2 @/m", ben), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("measurements verify", "--key a:%s:secp256k1 --need 1 @/m", ben),
                     QR_EXIT_USAGE);
    assert_int_equal(ctl_run("measurements sign", "--key @/ann -"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("measurements verify", "@/m"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("measurements verify", "--help"), 0);
    assert_non_null(strstr(ctl_out, "K of the given keys"));
    /* no manifest at all */
    ctl_write("bad", "{\n\"v\":2}", 8);
    assert_int_equal(ctl_run("measurements show", "@/bad"), QR_EXIT_CONFIG);
    ctl_says("line 1: ");
    assert_int_equal(ctl_run("measurements show", "@/none"), QR_EXIT_USAGE);
}

static void
test_show(void **state)
{
    (void)state;
    ctl_write("s", manifest, strlen(manifest));
    assert_int_equal(ctl_run("measurements sign", "--key @/ann @/s"), 0);
    assert_int_equal(ctl_run("measurements show", "@/s"), 0);
    assert_non_null(strstr(ctl_out, "release   1.2.0\nsha256    "));
    assert_non_null(strstr(ctl_out,
                           "valid     2026-11-01T00:00:00Z until 2027-05-01T00:00:00Z\n"
                           "replaces  1.1.0\nrevokes   1.0.3\n"
                           "set       nitro for aws-nitro, 2026-11-01T00:00:00Z until "
                           "2027-05-01T00:00:00Z\n          pcrs.0 " B48 "\nline of   ed25519 "));
    assert_non_null(strstr(ctl_out, ann));
    assert_int_equal(ctl_run("measurements show", "--json @/s"), 0);
    assert_string_equal(ctl_out, manifest);
}

static void
write_policy(const char *name, const char *peers)
{
    static char text[32768];
    int n = snprintf(text, sizeof text,
                     "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" CLUSTER
                     "\",\"serial\":1,\n\"peers\":%s,\n\"requests\":{\"clients\":[],\"rules\":[]}}",
                     peers);
    assert_true(n > 0 && (size_t)n < sizeof text);
    ctl_write(name, text, (size_t)n);
}

static void
test_policy_check(void **state)
{
    static char text[32768];
    char peers[2048];

    (void)state;
    write_policy("p", peerkit_policy());
    assert_int_equal(ctl_run("policy check", "@/p"), 0);
    assert_non_null(
        strstr(ctl_out, "ok: serial 1, 0 clients, stamps checked: no, give --roster\n"));
    assert_non_null(strstr(ctl_out, "At most 1 of the parties may be of one cloud (line 96).\n"));
    assert_int_equal(ctl_run("policy check", "--json @/p"), 0);
    json_t *j = json_loads(ctl_out, 0, NULL);
    assert_non_null(j);
    assert_true(json_array_size(json_object_get(j, "peers")) > 80);
    json_decref(j);
    /* refused, with the line in the whole document, and what to write instead */
    peerkit_edit(peerkit_policy(), "\"isv_prod_id\": 7, ", "", text, sizeof text);
    write_policy("p", text);
    assert_int_equal(ctl_run("policy check", "@/p"), QR_EXIT_CONFIG);
    ctl_says("line 69: peers.platforms.intel-sgx.signers[0]: a signer signs more than one enclave "
             "and every version of it; add isv_prod_id and min_isv_svn");
    /* with a manifest that the policy believes, and with one that it does not */
    snprintf(
        peers, sizeof peers,
        "{\"peer_secret\":{\"threshold\":2},\"freshness\":{\"max_age_s\":1,\"reattest_s\":1,"
        "\"clock_spread_s\":1,\"stages\":{"
        "\"warn_s\":2,\"no_peers_s\":3,\"no_keys_s\":4,\"stop_s\":5}},\"require\":[\"binder\"],"
        "\"manifests\":[{\"need\":1,\"signers\":[{\"name\":\"ann\",\"scheme\":\"ed25519\","
        "\"key\":\"%s\"}]}],\"platforms\":{\"aws-nitro\":{}}}",
        ann);
    write_policy("p", peers);
    ctl_write("r", manifest, strlen(manifest));
    assert_int_equal(ctl_run("policy check", "--manifest @/r @/p"), QR_EXIT_REFUSED);
    ctl_says("rule manifests at line 2: manifest 1.2.0: 0 of 1 needed release keys signed it");
    assert_int_equal(ctl_run("measurements sign", "--key @/eve @/r"), 0);
    assert_int_equal(ctl_run("policy check", "--manifest @/r @/p"), QR_EXIT_REFUSED);
    assert_int_equal(ctl_run("measurements sign", "--key @/ann @/r"), 0);
    assert_int_equal(ctl_run("policy check", "--manifest @/r @/p"), 0);
    assert_non_null(strstr(ctl_out, "    Of manifest 1.2.0:\n      Measurement set \"nitro\""));
    assert_int_equal(ctl_run("policy check", "--manifest @/r --manifest @/r @/p"), QR_EXIT_REFUSED);
    ctl_says("a manifest of release 1.2.0 already");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_verify),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_policy_check),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
