/* daemon/sdnotify: datagrams to a manager, the watchdog's period, inherited sockets. */
#include "daemon/sdnotify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void
test_notify(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_sd_XXXXXX", buf[64];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(dir));
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(qr_sd_notify("READY=1"), 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s/n", dir);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    setenv("NOTIFY_SOCKET", a.sun_path, 1);
    assert_int_equal(qr_sd_notify("READY=1"), 0); /* nobody there yet: no harm */
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(qr_sd_notify("READY=1\nSTATUS=2/3 peers"), 1);
    ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    assert_int_equal(n, 24);
    assert_memory_equal(buf, "READY=1\nSTATUS=2/3 peers", 24);
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(qr_sd_notify("READY=1"), 0);
    unsetenv("NOTIFY_SOCKET");
    close(fd);
    unlink(a.sun_path);
    rmdir(dir);
}

static void
test_watchdog(void **state)
{
    (void)state;
    char pid[32];
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_true(qr_sd_watchdog_us() == 0);
    setenv("WATCHDOG_USEC", "3000000", 1);
    assert_true(qr_sd_watchdog_us() == 3000000);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_true(qr_sd_watchdog_us() == 3000000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_true(qr_sd_watchdog_us() == 0); /* meant for another process */
    setenv("WATCHDOG_PID", pid, 1);
    static const char *const bad[] = {"", "-1", "3s", "99999999999999999999"};
    for (size_t i = 0; i < 4; i++) {
        setenv("WATCHDOG_USEC", bad[i], 1);
        assert_true(qr_sd_watchdog_us() == 0);
    }
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

/* In a child, because descriptors 3 and 4 are the test runner's own otherwise. */
static int
child(void)
{
    char pid[32];
    int p[2];
    if (pipe(p) != 0 || dup2(p[0], 3) != 3 || dup2(p[1], 4) != 4) {
        return 1;
    }
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "api:metrics", 1);
    if (qr_sd_listen_fd("api") != -1) {
        return 2; /* another process' */
    }
    setenv("LISTEN_PID", pid, 1);
    if (qr_sd_listen_fd("admin") != -1 || qr_sd_listen_fd("metric") != -1) {
        return 3;
    }
    if (qr_sd_listen_fd("metrics") != 4 || qr_sd_listen_fd("metrics") != -1) {
        return 4; /* each once */
    }
    return qr_sd_listen_fd(NULL) == 3 && qr_sd_listen_fd(NULL) == -1 ? 0 : 5;
}

static void
test_listen(void **state)
{
    (void)state;
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(child());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
