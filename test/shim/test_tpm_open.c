/*
 * Opening what is no TPM, or none that can be used: missing, busy, forbidden, silent, old, broken; each is
 * said in words. A TPM is played by a thread with a few answers; a real one is in test/swtpm.
 */
#include "enclave-shim/tpm/tpm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/tpm/tpm_int.h"
#include "test/common/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- open(2) that refuses a few times ---- */

static struct {
    const char *path;
    int why;
    unsigned times, count;
} deny;

int
open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list ap;
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    if (deny.path && strcmp(path, deny.path) == 0 && deny.times > 0) {
        deny.times--;
        deny.count++;
        errno = deny.why;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* ---- time that flies while somebody waits ---- */

/* Not static: poll() is an inline function to clang, which would not let it see them. */
struct flight {
    int on;
    int64_t ms;
} flight;

int
clock_gettime(clockid_t which, struct timespec *ts)
{
    int r = (int)syscall(SYS_clock_gettime, which, ts);
    if (r == 0 && flight.on) {
        ts->tv_sec += flight.ms / 1000;
    }
    return r;
}

int
poll(struct pollfd *p, nfds_t n, int ms)
{
    if (flight.on) {
        flight.ms += ms < 1000 ? 1000 : ms;
        return 0;
    }
    /* arm64 has no call of poll's own */
    const struct timespec limit = {ms / 1000, (long)(ms % 1000) * 1000000};
    return (int)syscall(SYS_ppoll, p, n, ms < 0 ? NULL : &limit, NULL, 0);
}

/* ---- a TPM that knows a few answers ---- */

struct script {
    const char *bytes;
    size_t len;
};
#define ANSWER(text)                                                                               \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static struct tmpdir dir;
static char path[128], why[512];
static int listener;
static const struct script *script;
static size_t n_script;

static void *
play(void *arg)
{
    uint8_t command[4096];
    int fd = accept(listener, NULL, NULL);
    (void)arg;
    for (size_t i = 0; i < n_script && read(fd, command, sizeof command) > 0; i++) {
        if (send(fd, script[i].bytes, script[i].len, MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    close(fd);
    return NULL;
}

static int
setup(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)state;
    tmpdir_new(&dir);
    (void)snprintf(path, sizeof path, "unix:%s/tpm", dir.path);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/tpm", dir.path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 1), 0);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    close(listener);
    tmpdir_remove(&dir);
    return 0;
}

static void
refused(const char *at, uint32_t patience, qr_err e, const char *words)
{
    struct qr_tpm *t = NULL;
    why[0] = '\0';
    assert_int_equal(qr_tpm_open(at, patience, &t, why, sizeof why), e);
    assert_null(t);
    if (!strstr(why, words)) {
        fail_msg("expected \"%s\" in: %s", words, why);
    }
    assert_int_equal(qr_tpm_open("/nonexistent/tpm", 0, &t, NULL, 0), QR_ERR_PLATFORM);
}

static void
answers(const struct script *s, size_t n, const char *words)
{
    pthread_t th;
    script = s;
    n_script = n;
    assert_int_equal(pthread_create(&th, NULL, play, NULL), 0);
    refused(path, 0, QR_ERR_PLATFORM, words);
    assert_int_equal(pthread_join(th, NULL), 0);
}

static void
test_no_device(void **state)
{
    (void)state;
    refused("/nonexistent/tpmrm0", 0, QR_ERR_PLATFORM, "this machine has no TPM");
    refused("unix:/nonexistent/tpm", 0, QR_ERR_PLATFORM, "has no TPM");
    refused("/etc/passwd", 0, QR_ERR_PLATFORM, "no character device");
    refused("/dev/null", 0, QR_ERR_PLATFORM, "ends after 0 bytes");
    char long_path[300] = "unix:/";
    memset(long_path + 6, 'x', 200);
    refused(long_path, 0, QR_ERR_PLATFORM, "File name too long");
}

/* The device of one user at a time, and one that we may not open. */
static void
test_busy(void **state)
{
    (void)state;
    deny.path = "/dev/null";
    deny.why = EBUSY;
    deny.times = 1000;
    deny.count = 0;
    refused("/dev/null", 120, QR_ERR_PLATFORM, "in use by another program");
    assert_int_equal(deny.count, 4); /* at once, and each 50 ms while patience lasts */
    deny.times = 2;
    refused("/dev/null", 1000, QR_ERR_PLATFORM, "ends after 0 bytes"); /* it got in */
    deny.why = EACCES;
    deny.times = 1;
    deny.count = 0;
    refused("/dev/null", 1000, QR_ERR_PERMISSIONS, "device's group");
    assert_int_equal(deny.count, 1); /* patience does not help */
    deny.path = NULL;
}

static void
test_broken(void **state)
{
    static const struct script failure = ANSWER("\x80\1\0\0\0\12\0\0\1\1"),
                               unstarted = ANSWER("\x80\1\0\0\0\12\0\0\1\0"),
                               short_head = ANSWER("\x80\1\0\0\0\11\0\0\0\0"),
                               old_tag = ANSWER("\0\xc4\0\0\0\12\0\0\0\36"), /* a TPM 1.2's */
        big = ANSWER("\x80\1\0\0\x10\1\0\0\0\0"), nothing = ANSWER("\x80\1\0\0\0\12\0\0\0\0"),
                               v12 = ANSWER("\x80\1\0\0\0\33\0\0\0\0\0\0\0\0\6\0\0\0\1\0\0\1\0"
                                            "1.2\0"),
                               other = ANSWER("\x80\1\0\0\0\23\0\0\0\0\0\0\0\0\5\0\0\0\0");

    (void)state;
    answers(&failure, 1, "failure mode");
    answers(&unstarted, 1, "firmware has not started");
    answers(&short_head, 1, "no TPM's answer");
    answers(&old_tag, 1, "no TPM's answer");
    answers(&big, 1, "no TPM's answer");
    answers(&nothing, 1, "TPM2_GetCapability");
    answers(&v12, 1, "expected a TPM 2.0, found family 0x312e3200");
    answers(&other, 1, "another question");
}

static void
test_no_bank(void **state)
{
    static const struct script s[] = {
        ANSWER("\x80\1\0\0\0\33\0\0\0\0\0\0\0\0\6\0\0\0\1\0\0\1\0"
               "2.0\0"),
        ANSWER("\x80\1\0\0\0\31\0\0\0\0\0\0\0\0\5\0\0\0\1\0\4\3\xff\xff\xff"), /* SHA-1 alone */
    };
    (void)state;
    answers(s, 2, "no SHA-256 bank");
}

/* It takes a command and says nothing: a minute, and no more. */
static void
test_silent(void **state)
{
    (void)state;
    flight.on = 1;
    flight.ms = 0;
    struct qr_tpm *t = NULL;
    assert_int_equal(qr_tpm_open(path, 0, &t, why, sizeof why), QR_ERR_PLATFORM);
    flight.on = 0;
    assert_non_null(strstr(why, "no answer within 60 s"));
    assert_in_range(flight.ms, 60000, 62000);
}

/* Answers that come in pieces are one answer; two in one piece are none. */
static void
test_frames(void **state)
{
    static const char a[] = "\x80\1\0\0\0\14\0\0\0\0ab";
    size_t len = 99;

    (void)state;
    for (size_t n = 0; n <= 12; n++) {
        assert_int_equal(qr_tcti_frame(qr_view_of(a, n), &len), QR_OK);
        assert_int_equal(len, n < 10 ? 0 : 12);
    }
    assert_int_equal(qr_tcti_frame(qr_view_of(a, 13), &len), QR_ERR_MALFORMED);
    assert_int_equal(qr_tcti_frame(qr_view_of("\x80\2\0\0\x10\0\0\0\0\0", 10), &len), QR_OK);
    assert_int_equal(len, QR_TPM_ANSWER_MAX);
    assert_int_equal(qr_tcti_frame(qr_view_of("\x80\2\0\0\x10\1\0\0\0\0", 10), &len),
                     QR_ERR_TOO_LARGE);
    assert_int_equal(qr_tcti_frame(qr_view_of("\x80\3\0\0\0\12\0\0\0\0", 10), &len),
                     QR_ERR_MALFORMED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_device), cmocka_unit_test(test_busy),
        cmocka_unit_test(test_broken),    cmocka_unit_test(test_no_bank),
        cmocka_unit_test(test_frames),    cmocka_unit_test(test_silent),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
