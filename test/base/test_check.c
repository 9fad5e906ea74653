/*
 * QR_ASSERT ends the process in every build; QR_VERIFY looks in the verify build and nowhere else, and
 * the functions that carry one notice what they are there for.
 */
#include "protocol/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/buf.h"
#include "protocol/fq.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef QR_VERIFY_BUILD
#define VERIFIES 1
#else
#define VERIFIES 0
#endif

/* Whether a child that does this ends by abort(). */
static int
panics(void (*body)(void))
{
    int status = -1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2); /* what it says is for operators */
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
    return status != 0;
}

static volatile int truth = 1;

static void
asserts_truth(void)
{
    QR_ASSERT(truth == 1);
    QR_VERIFY(truth == 1);
}

static void
asserts_lie(void)
{
    QR_ASSERT(truth == 2);
}

static void
verifies_lie(void)
{
    QR_VERIFY(truth == 2);
}

/* A scalar that is not reduced is a bug of the caller's. */
static void
unreduced_scalar(void)
{
    qr_fq a, r;

    memset(&a, 0xff, sizeof a);
    qr_fq_add(&r, &a, &a);
}

/* A cursor past the end is a bug of whoever moved it. */
static void
broken_cursor(void)
{
    uint8_t room[4] = {0};
    struct qr_buf b = qr_buf_over(room, sizeof room);

    b.pos = 3;
    b.len = 2;
    (void)qr_buf_get8(&b);
}

static void
test_assert(void **state)
{
    (void)state;
    assert_false(panics(asserts_truth));
    assert_true(panics(asserts_lie));
}

static void
test_verify(void **state)
{
    (void)state;
    assert_int_equal(panics(verifies_lie), VERIFIES);
    assert_int_equal(panics(unreduced_scalar), VERIFIES);
    if (VERIFIES) { /* elsewhere it is undefined, and the integer sanitizer says so */
        assert_true(panics(broken_cursor));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assert),
        cmocka_unit_test(test_verify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
