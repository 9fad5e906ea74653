/* Swap and locked memory: what is refused, and in which words. */
#include "enclave-shim/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/tmpdir.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static void
swaps(void **state)
{
    static const struct {
        const char *text, *name; /* NULL: none */
    } cases[] = {
        {"", NULL},
        {HEAD, NULL},
        {HEAD "/dev/sda2                               partition\t999420\t\t0\t\t-2\n",
         "/dev/sda2"},
        {HEAD "/dev/zram0 partition 4 0 100\n/swapfile file 4 0 -2\n", "/dev/zram0"},
        {HEAD "/swap\\040file file 4 0 -2", "/swap\\040file"},
        {HEAD "\n", NULL},
        {"something else\n", "a list that cannot be read"},
        {"Filename", "a list that cannot be read"},
    };
    char name[64];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        name[0] = '\0';
        assert_int_equal(qr_memory_first_swap(cases[i].text, name, sizeof name),
                         cases[i].name != NULL);
        if (cases[i].name) {
            assert_string_equal(name, cases[i].name);
        }
    }
}

static void
check(void **state)
{
    static const char swap[] = HEAD "/dev/vdb partition 1048572 0 -2\n";
    struct tmpdir dir;
    char why[256] = "";
    (void)state;

    tmpdir_new(&dir);
    const char *none = tmpdir_file(&dir, "none");
    /* a kernel without swap, or a /proc that shows processes only: this machine's own total counts */
    struct sysinfo here;
    assert_int_equal(sysinfo(&here), 0);
    assert_int_equal(qr_memory_check(none, 0, why, sizeof why),
                     here.totalswap == 0 ? QR_OK : QR_ERR_PLATFORM);
    const char *file = tmpdir_file(&dir, "swaps");
    tmpdir_write(file, (const uint8_t *)HEAD, sizeof HEAD - 1);
    assert_int_equal(qr_memory_check(file, 4096, why, sizeof why), QR_OK);
    tmpdir_write(file, (const uint8_t *)swap, sizeof swap - 1);
    assert_int_equal(qr_memory_check(file, 4096, why, sizeof why), QR_ERR_PLATFORM);
    assert_non_null(strstr(why, "there is swap (/dev/vdb)"));
    assert_non_null(strstr(why, "swapoff"));
    assert_int_equal(qr_memory_check(dir.path, 0, why, sizeof why), QR_ERR_PLATFORM); /* a folder */
    assert_non_null(strstr(why, "it is not known whether there is swap"));
    tmpdir_remove(&dir);
}

/* Without the privilege, the limit counts. 1: as expected. */
static int
limited(size_t limit, size_t need, qr_err want, const char *word)
{
    struct tmpdir dir;
    tmpdir_new(&dir);
    assert_int_equal(chmod(dir.path, 0755), 0); /* another user reads it */
    const char *list = tmpdir_file(&dir, "swaps");
    tmpdir_write(list, (const uint8_t *)HEAD, sizeof HEAD - 1);
    assert_int_equal(chmod(list, 0644), 0);
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit r = {limit, limit};
        char why[256] = "";
        if (setrlimit(RLIMIT_MEMLOCK, &r) != 0 || (geteuid() == 0 && setuid(65534) != 0)) {
            _exit(9);
        }
        qr_err e = qr_memory_check(list, need, why, sizeof why);
        _exit(e == want && strstr(why, word) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    tmpdir_remove(&dir);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
locked(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("mlock does nothing in a build with a sanitizer\n");
    skip();
#endif
    assert_true(limited(8u << 20, 4u << 20, QR_OK, ""));
    assert_true(limited(65536, 4u << 20, QR_ERR_PLATFORM,
                        "4096 KiB are needed, the limit (RLIMIT_MEMLOCK) is 64 KiB"));
    assert_true(limited(65536, 4u << 20, QR_ERR_PLATFORM, "LimitMEMLOCK="));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swaps),
        cmocka_unit_test(check),
        cmocka_unit_test(locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
