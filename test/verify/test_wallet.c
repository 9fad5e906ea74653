/*
 * The example client, as a program of its own that is linked against the shared library alone: it
 * accepts a genuine party, and says no to each of the checks that a wallet makes, broken alone.
 */
#include "protocol/base/enc.h"
#include "test/common/tmpdir.h"
#include "test/common/walletkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct walletkit k;
static struct tmpdir dir;
static char program[4096], libraries[4096], output[4096];

/* Beside this test's own program, wherever the build is. */
static int
group_begin(void **state)
{
    char self[2048];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    (void)state;
    assert_true(n > 0);
    self[n] = 0;
    char *at = strstr(self, "/test/verify/");
    assert_non_null(at);
    *at = 0;
    (void)snprintf(program, sizeof program, "%s/enclave-shim/verify/example/wallet", self);
    (void)snprintf(libraries, sizeof libraries, "%s%s", self,
                   strstr(self, "/build/release") ? "/../lib" : "/lib");
    (void)setenv("LD_LIBRARY_PATH", libraries, 1);
    tmpdir_new(&dir);
    return 0;
}

static int
group_end(void **state)
{
    (void)state;
    tmpdir_remove(&dir);
    return 0;
}

/* Exit status; what it printed is in `output`. */
static int
run(const char *const argv[])
{
    int fd[2], status = 0;
    size_t len = 0;
    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(fd[1], 1);
        (void)dup2(fd[1], 2);
        (void)close(fd[0]);
        (void)close(fd[1]);
        /* Under a sanitizer: a program that ends at once need not tidy up. */
        (void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
        (void)execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(fd[1]);
    for (ssize_t n; (n = read(fd[0], output + len, sizeof output - 1 - len)) > 0;) {
        len += (size_t)n;
    }
    output[len] = 0;
    (void)close(fd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int
run_wallet(void)
{
    char root[65], policy[128], evidence[128], context[128];
    qr_hex_encode(qr_view_of(k.root, 32), root);
    (void)snprintf(policy, sizeof policy, "%s/policy.json", dir.path);
    (void)snprintf(evidence, sizeof evidence, "%s/evidence", dir.path);
    (void)snprintf(context, sizeof context, "%s/context", dir.path);
    tmpdir_write(policy, (const uint8_t *)k.policy, strlen(k.policy));
    tmpdir_write(evidence, k.wire, k.wire_len);
    tmpdir_write(context, k.context, sizeof k.context);
    const char *const argv[] = {"wallet", policy, evidence, context, "aws-nitro", root, NULL};
    return run(argv);
}

static void
begin(void)
{
    walletkit_init(&k, (int64_t)time(NULL) * 1000);
}

static void
genuine(void)
{
    walletkit_build(&k);
}
static void
chain(void)
{
    k.d.spec[EVNITRO_ZONAL].bad_signature = 1;
    walletkit_build(&k);
}
static void
pinned_root(void)
{
    walletkit_build(&k);
    k.root[31] ^= 1;
}
static void
validity(void)
{
    k.d.spec[EVNITRO_LEAF].to_ms = k.now_ms - 60000;
    walletkit_build(&k);
}
static void
signature(void)
{
    walletkit_build(&k);
    k.d.sig[20] ^= 1;
    evnitro_wrap(&k.d);
    walletkit_encode(&k);
}
static void
debug(void)
{
    memset(k.d.pcr, 0, 3 * sizeof k.d.pcr[0]);
    walletkit_build(&k);
}
static void
measurement(void)
{
    k.d.pcr[2][0] ^= 1;
    walletkit_build(&k);
}
static void
freshness(void)
{
    k.d.spec[EVNITRO_LEAF].from_ms -= 3600000;
    k.d.timestamp_ms -= 3000000;
    walletkit_build(&k);
}
static void
nonce(void)
{
    walletkit_build(&k);
    k.context[31] ^= 1;
}
static void
key(void)
{
    walletkit_build(&k);
    k.context[63] ^= 1;
}

static void
test_checks(void **state)
{
    static const struct {
        void (*damage)(void);
        int status;
        const char *says, *also;
    } rows[] = {
        {genuine, 0, "accepted", "freshness    yes"},
        {chain, 1, "chain        NO", "expected the next one's signature"},
        {pinned_root, 1, "chain        NO", "expected a pinned certificate"},
        {validity, 1, "validity     NO", "chain        yes"},
        {signature, 1, "signature    NO", "validity     yes"},
        {debug, 1, "debug        NO", "signature    yes"},
        {measurement, 1, "measurement  NO", "binder       yes"},
        {freshness, 1, "freshness    NO", "signature    yes"},
        {nonce, 1, "binder       NO", "signature    yes"},
        {key, 1, "binder       NO", "signature    yes"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin();
        rows[i].damage();
        int status = run_wallet();
        if (status != rows[i].status || !strstr(output, rows[i].says) ||
            !strstr(output, rows[i].also)) {
            print_message("row %zu, status %d: %s\n", i, status, output);
        }
        assert_int_equal(status, rows[i].status);
        assert_non_null(strstr(output, rows[i].says));
        assert_non_null(strstr(output, rows[i].also));
        assert_int_equal(strstr(output, "refused:") != NULL, status == 1);
    }
}

static void
test_usage(void **state)
{
    static const char *const none[] = {"wallet", NULL};
    (void)state;
    assert_int_equal(run(none), 2);
    begin();
    walletkit_build(&k);
    k.policy[0] = '[';
    assert_int_equal(run_wallet(), 2);
    begin();
    walletkit_build(&k);
    k.wire[0] = 'q';
    assert_int_equal(run_wallet(), 2);
    assert_non_null(strstr(output, "not evidence"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
