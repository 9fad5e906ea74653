/*
 * tsmguest: /init of the guest of vm_tsm.py: the product's reports through the kernel's configfs-tsm.
 *
 * What: loads tsm and the test provider (test/vm/tsm/), answers its requests in a child as a throwaway
 *       vendor's processor would (test/common/fakehw.h), and asks for evidence through the product's
 *       own back end. What comes back is verified as a peer would, under the throwaway vendor's root
 *       and under the product's.
 * Why: the files under /sys/kernel/config are the kernel's and not ours; a folder that imitates them
 *      has no generation that counts, no EFBIG and no EBUSY.
 * Says "ok: ..." or "FAILED: ..." a line, and at the end "tsm: N passed, M failed".
 */
#include "enclave-shim/tee_open.h"
#include "enclave-shim/verify/roots.h"
#include "enclave-shim/verify/verify.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/evgen_ca.h"
#include "test/common/fakehw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ENTRY "/sys/kernel/config/tsm/report/raw"

static unsigned passed, failed;
static struct qr_roots roots;

static void
check(int good, const char *what, const char *why)
{
    passed += good != 0;
    failed += good == 0;
    printf("%s: %s%s%s\n", good ? "ok" : "FAILED", what, why[0] ? ": " : "", why);
    (void)fflush(stdout);
}

static void
load(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    long r = fd < 0 ? -1 : syscall(SYS_finit_module, fd, "", 0);
    check(r == 0 || errno == EEXIST, path, r == 0 ? "" : strerror(errno));
    (void)close(fd);
}

/* The processor: never returns. */
static void
sign(void)
{
    static uint8_t answer[8 + QR_REPORT_OUT_MAX + QR_REPORT_AUX_MAX];
    static struct faketsm k;
    uint8_t data[64];
    int fd = open("/dev/tsm-signer", O_RDWR | O_CLOEXEC);
    faketsm_init(&k);
    fakehw_snp(&k);
    while (fd >= 0 && read(fd, data, sizeof data) == (ssize_t)sizeof data) {
        size_t aux_len = 0;
        size_t n = k.make(k.make_ctx, data, k.out, k.aux, &aux_len);
        const uint32_t len[2] = {(uint32_t)n, (uint32_t)aux_len};
        memcpy(answer, len, sizeof len);
        memcpy(answer + 8, k.out, n);
        memcpy(answer + 8 + n, k.aux, aux_len);
        if (write(fd, answer, 8 + n + aux_len) < 0) {
            printf("signer: %s\n", strerror(errno));
        }
    }
    printf("signer: ends: %s\n", strerror(errno));
    _exit(1);
}

static pid_t
start_signer(void)
{
    pid_t p = fork();
    if (p == 0) {
        sign();
    }
    const struct timespec wait = {.tv_nsec = 10000000};
    for (int i = 0; i < 500 && access("/dev/tsm-signer", F_OK) != 0; i++) {
        (void)nanosleep(&wait, NULL);
    }
    return p;
}

/* That it is the kernel's: what a folder of ours would not do. */
static void
kernel_rules(void)
{
    uint8_t big[65] = {0}, out[64];
    check(mkdir(ENTRY, 0700) == 0, "an entry can be made", "");
    int fd = open(ENTRY "/outblob", O_RDONLY | O_CLOEXEC);
    check(read(fd, out, sizeof out) < 0 && errno == EINVAL, "no report without a question", "");
    (void)close(fd);
    fd = open(ENTRY "/inblob", O_WRONLY | O_CLOEXEC);
    check(write(fd, big, sizeof big) < 0 && errno == EFBIG, "65 bytes are too many", "");
    (void)close(fd);
    check(rmdir(ENTRY) == 0, "an entry can be removed", "");
}

/* Evidence over a binder of `with`, verified under these roots. */
static qr_err
evidence(struct qr_tee *t, int with, int claim, const struct qr_roots *trusted, char *why,
         size_t cap)
{
    static uint8_t mem[131072];
    static struct qr_verdict v;
    static struct qr_claims claims;
    static struct qr_verify_out vout;
    const struct qr_verify_opts o = {.roots = trusted, .now_ms = EVGEN_NOW_MS};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    uint8_t binder[32];

    memset(binder, with, sizeof binder);
    qr_err e = t->evidence(t->ctx, binder, &b);
    if (e != QR_OK) {
        (void)snprintf(why, cap, "%s", qr_tee_why(t, e));
        return e;
    }
    memset(binder, claim, sizeof binder);
    return qr_tee_verify(QR_PLATFORM_SNP, qr_view_of(mem, b.len), binder, &o, &v, &vout, &claims,
                         why, cap);
}

static double
seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* How many entries there are. */
static int
entries(void)
{
    int n = 0;
    DIR *d = opendir("/sys/kernel/config/tsm/report");
    for (struct dirent *x = d ? readdir(d) : NULL; x; x = readdir(d)) {
        n += x->d_name[0] != '.';
    }
    if (d) {
        (void)closedir(d);
    }
    return d ? n : -1;
}

static void
backend(pid_t signer)
{
    const struct qr_tee_opts o = {.platform = "snp", .patience_ms = 2000};
    struct qr_tee t;
    char why[600] = "";

    qr_err e = qr_tee_open(&o, &t, why, sizeof why);
    check(e == QR_OK, "the snp back end opens over configfs-tsm", why);
    if (e != QR_OK) {
        return;
    }
    double start = seconds();
    for (int i = 1; i <= 8 && e == QR_OK; i++) {
        e = evidence(&t, i, i, &roots, why, sizeof why);
    }
    check(e == QR_OK, "eight reports over eight binders verify under the throwaway root", why);
    printf("figure: tsm_report_and_verify %.1f ms\n", (seconds() - start) * 1000 / 8);
    e = evidence(&t, 9, 10, &roots, why, sizeof why);
    check(e != QR_OK && strstr(why, "report_data"), "a report over another binder is refused", why);
    e = evidence(&t, 11, 11, qr_roots_builtin(), why, sizeof why);
    check(e != QR_OK && strstr(why, "untrusted-root"), "the product's own roots refuse it", why);
    (void)kill(signer, SIGKILL);
    (void)waitpid(signer, NULL, 0);
    e = evidence(&t, 12, 12, &roots, why, sizeof why);
    check(e == QR_ERR_PLATFORM && why[0], "no processor: an error that says where", why);
    signer = start_signer();
    const struct timespec wait = {.tv_nsec = 100000000};
    for (int i = 0; i < 100 && e != QR_OK; i++) {
        (void)nanosleep(&wait, NULL);
        e = evidence(&t, 13, 13, &roots, why, sizeof why);
    }
    check(e == QR_OK, "it comes back, and the same back end goes on", e == QR_OK ? "" : why);
    int had = entries();
    (void)kill(signer, SIGKILL); /* it was forked with our end of the back end's socket */
    (void)waitpid(signer, NULL, 0);
    t.free(t.ctx);
    for (int i = 0; i < 100 && entries() != 0; i++) { /* the process that had it is ending */
        (void)nanosleep(&wait, NULL);
    }
    (void)snprintf(why, sizeof why, "%d before, %d after", had, entries());
    check(had == 1 && entries() == 0, "its one entry is gone with the back end", why);
}

int
main(void)
{
    (void)mkdir("/proc", 0755);
    (void)mkdir("/sys", 0755);
    (void)mkdir("/dev", 0755);
    (void)mkdir("/tmp", 01777);
    if (mount("proc", "/proc", "proc", 0, NULL) != 0 ||
        mount("sys", "/sys", "sysfs", 0, NULL) != 0 ||
        mount("dev", "/dev", "devtmpfs", 0, NULL) != 0) {
        printf("FAILED: mounts: %s\n", strerror(errno));
    }
    int console = open("/dev/console", O_RDWR);
    for (int fd = 0; console >= 0 && fd <= 2; fd++) {
        (void)dup2(console, fd);
    }
    load("/configfs.ko");
    load("/tsm.ko");
    load("/quorate_tsm_test.ko");
    check(mount("configfs", "/sys/kernel/config", "configfs", 0, NULL) == 0, "configfs", "");
    if (sodium_init() < 0 || qr_hash_init() != QR_OK) {
        printf("FAILED: libraries\n");
    }
    fakehw_roots(&roots); /* the processor's key, before there is a second process */
    pid_t signer = start_signer();
    kernel_rules();
    backend(signer);
    printf("tsm: %u passed, %u failed\n", passed, failed);
    (void)fflush(stdout);
    sync();
    (void)reboot(RB_POWER_OFF);
    return 1;
}
