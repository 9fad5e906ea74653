/*
 * A party's work with its TPM under the real filter of system calls: reading, writing and polling the
 * descriptor that was opened before, and nothing else. What a party does after its start: quotes,
 * random bytes, registers, seals and raised minimums. Opening a device again ends the process.
 */
#include "enclave-shim/sandbox.h"
#include "enclave-shim/tpm/tpm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "test/common/swtpm.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct swtpm sw;
static struct qr_tpm *tpm;
static struct qr_tpm_key key;

static int
setup(void **state)
{
    char why[512] = "";
    (void)state;
    swtpm_start(&sw);
    if (qr_hash_init() != QR_OK || qr_tpm_open(sw.path, 0, &tpm, why, sizeof why) != QR_OK ||
        qr_tpm_key_own(tpm, &key) != QR_OK) {
        fail_msg("%s", why);
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    qr_tpm_key_free(tpm, &key);
    tpm = qr_tpm_close(tpm);
    swtpm_stop(&sw);
    return 0;
}

static int
in_sandbox(void (*body)(void))
{
    int status = -1;
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char why[256];
        if (qr_sandbox_harden(why, sizeof why) != QR_OK ||
            qr_sandbox_enter(why, sizeof why) != QR_OK) {
            _exit(99);
        }
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

#define MUST(call)                                                                                 \
    do {                                                                                           \
        if ((call) != QR_OK) {                                                                     \
            (void)dprintf(2, "line %d: %s: %s\n", __LINE__, #call, qr_tpm_error(tpm));             \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void
work(void)
{
    static struct qr_tpm_quote quote;
    static uint8_t pcr[QR_TPM_PCRS][32];
    uint8_t random[100] = {0}, binder[32] = {1};

    for (int i = 0; i < 3; i++) {
        MUST(qr_tpm_quote(tpm, &key, 0x1a90, qr_view_of(binder, 32), &quote));
        MUST(qr_tpm_random(tpm, random, sizeof random));
        MUST(qr_tpm_pcr_read(tpm, 0xffffff, pcr));
        MUST(qr_tpm_vouch(tpm, &key));
    }
}

static void
ordinary_work(void **state)
{
    (void)state;
    assert_int_equal(in_sandbox(work), 0);
}

static void
open_again(void)
{
    (void)open("/dev/tpmrm0", O_RDWR | O_CLOEXEC);
}

static void
no_other_way(void **state)
{
    (void)state;
    int status = in_sandbox(open_again);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_work),
        cmocka_unit_test(no_other_way),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
