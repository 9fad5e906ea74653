/*
 * sealer: /init of an enclave that opens the Nitro back end, for test/vm/nitro_seal.py.
 *
 * What: the real /dev/nsm, the product's back end and KMS client; the service and its credentials are
 *       test/vm/kmsbox on the host, reached through vsock ports 7443 and 7444, and what the platform
 *       keeps lies with the host at port 9002. Says on the console what came of it.
 * Two openings: one over the module as it is, which must fail because the emulator's documents say
 *       nothing that can be believed, and one over the device that signs them (test/common/fakensm.h).
 */
#include "enclave-shim/nitro/nitro.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/fakensm.h"
#include "test/common/kmsbox.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PARENT 3u
#define PIECE 16384u

static double
seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
stop(const char *what)
{
    printf("sealer: %s: %s\n", what, strerror(errno));
    (void)fflush(stdout);
    sync();
    (void)reboot(RB_AUTOBOOT);
}

static int
dial(unsigned port)
{
    const struct sockaddr_vm a = {.svm_family = AF_VSOCK, .svm_cid = PARENT, .svm_port = port};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        stop("connect to the parent");
    }
    return fd;
}

static void
write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n < PIECE ? n : PIECE);
        if (k <= 0) {
            stop("write");
        }
        p += k;
        n -= (size_t)k;
    }
}

static void
read_all(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t k = read(fd, p, n);
        if (k <= 0) {
            stop("read");
        }
        p += k;
        n -= (size_t)k;
    }
}

/* ---- the host's forwarding, as a process ------------------------------------------------------ */

static void
copy_both(int a, int b)
{
    struct pollfd p[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    uint8_t x[PIECE];

    while (p[0].fd >= 0 || p[1].fd >= 0) {
        if (poll(p, 2, -1) < 0) {
            return;
        }
        for (int i = 0; i < 2; i++) {
            int to = i == 0 ? b : a;
            if (p[i].fd < 0 || p[i].revents == 0) {
                continue;
            }
            ssize_t n = read(p[i].fd, x, sizeof x);
            if (n <= 0) {
                (void)shutdown(to, SHUT_WR);
                p[i].fd = -1;
            } else {
                write_all(to, x, (size_t)n);
            }
        }
    }
}

static void
forward(const char *path, unsigned port)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 8) != 0) {
        stop(path);
    }
    if (fork() != 0) {
        (void)close(fd);
        return;
    }
    for (;;) {
        int c = accept(fd, NULL, NULL);
        if (c >= 0) {
            int v = dial(port);
            copy_both(c, v);
            (void)close(v);
            (void)close(c);
        }
    }
}

/* ---- what the host keeps ---------------------------------------------------------------------- */

static qr_err
keep_load(void *ctx, const char *name, struct qr_dbuf *out)
{
    uint8_t len[4], v[QR_TEE_KEEP_MAX];
    int fd = dial(9002);
    (void)ctx;
    (void)name;
    write_all(fd, (const uint8_t *)"L", 1);
    read_all(fd, len, 4);
    size_t n = qr_get32(len);
    if (n > sizeof v) {
        stop("keep");
    }
    read_all(fd, v, n);
    (void)close(fd);
    return n == 0 ? QR_ERR_NOT_FOUND : qr_dbuf_append(out, v, n);
}

static qr_err
keep_save(void *ctx, const char *name, qr_view v)
{
    uint8_t head[5] = "S", ack;
    int fd = dial(9002);
    (void)ctx;
    (void)name;
    qr_put32(head + 1, (uint32_t)v.len);
    write_all(fd, head, 5);
    write_all(fd, v.p, v.len);
    read_all(fd, &ack, 1);
    (void)close(fd);
    return QR_OK;
}

static const char *
keep_why(void *ctx)
{
    (void)ctx;
    return "the host";
}

/* ---- the back end ----------------------------------------------------------------------------- */

static void
judge_evidence(struct qr_tee *t)
{
    static uint8_t wire[QR_EVIDENCE_MAX];
    static struct qr_verdict v;
    struct qr_verify_out out;
    struct qr_claims claims;
    struct qr_buf b = qr_buf_over(wire, sizeof wire);
    uint8_t binder[32] = {0x42};
    int64_t now = 0;
    char why[256] = "";

    double at = seconds();
    if (t->evidence(t->ctx, binder, &b) != QR_OK || t->time(t->ctx, &now) != QR_OK) {
        printf("sealer: FAILED evidence: %s\n", t->why(t->ctx));
        return;
    }
    printf("sealer: evidence of %zu bytes and the time in %.1f ms\n", b.len,
           (seconds() - at) * 1e3);
    struct qr_verify_opts o = {.roots = fakensm_roots(), .now_ms = now};
    qr_err e = qr_tee_verify(QR_PLATFORM_NITRO, qr_buf_view(&b), binder, &o, &v, &out, &claims, why,
                             sizeof why);
    printf("sealer: by the throwaway root: %s, measurement %s\n", qr_err_name(e),
           e == QR_OK && memcmp(claims.measurement, t->measurement, 32) == 0 ? "ours" : "other");
    o.roots = NULL;
    e = qr_tee_verify(QR_PLATFORM_NITRO, qr_buf_view(&b), binder, &o, &v, &out, &claims, why,
                      sizeof why);
    printf("sealer: by the vendors' roots: %s: %s\n", qr_err_name(e), v.sentence);
}

static void
print_key(struct qr_tee *t)
{
    struct qr_sec32 k = {{0}};
    uint8_t h[32];
    char hex[65];
    qr_err e = t->derive(t->ctx, 0, "test", qr_view_of(NULL, 0), &k);
    qr_sha256(qr_view_of(k.b, 32), h); /* of a throwaway enclave: printed to be compared */
    qr_hex_encode(qr_view_of(h, 32), hex);
    printf("sealer: key %s %s\n", qr_err_name(e), hex);
}

static qr_err
try_open(const struct qr_nsm_dev *dev, const struct qr_nitro_kms *kms, struct qr_tee *ret,
         const char *what)
{
    struct qr_tee_keep keep = {.load = keep_load, .save = keep_save, .why = keep_why};
    const struct qr_tee_opts o = {.platform = "nitro", .keep = &keep, .kms = kms};
    char why[512] = "";
    double at = seconds();

    qr_err e = qr_tee_nitro_over(dev, &o, ret, why, sizeof why);
    printf("sealer: opened %s: %s in %.0f ms%s%s\n", what, qr_err_name(e), (seconds() - at) * 1e3,
           why[0] ? ": " : "", why);
    return e;
}

static void
run(void)
{
    static struct qr_nsm_dev kernels;
    const struct qr_nitro_kms kms = {.key = KMSBOX_KEY,
                                     .route = "unix:/run/kms",
                                     .credentials = "unix:/run/credentials",
                                     .name = "party-1",
                                     .roots = kmsbox_roots(),
                                     .timeout_ms = 20000,
                                     .tries = 2};
    struct qr_tee t = {0};
    char why[QR_NSM_WHY_MAX];

    if (qr_nsm_device(QR_NSM_PATH, &kernels, why) != QR_OK) {
        printf("sealer: %s\n", why);
        return;
    }
    if (try_open(&kernels, &kms, &t, "as it is") == QR_OK) { /* closed the device */
        printf("sealer: FAILED: an unsigned document was enough\n");
        return;
    }
    if (qr_nsm_device(QR_NSM_PATH, &kernels, why) != QR_OK) {
        printf("sealer: %s\n", why);
        return;
    }
    const struct qr_nsm_dev signs = fakensm_resign(&kernels);
    if (try_open(&signs, &kms, &t, "with a signature") == QR_OK) {
        print_key(&t);
        judge_evidence(&t);
    }
    qr_tee_close(&t);
}

int
main(void)
{
    uint8_t b = 0xb7;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)mount("dev", "/dev", "devtmpfs", 0, NULL);
    (void)mount("proc", "/proc", "proc", 0, NULL);
    (void)mount("run", "/run", "tmpfs", 0, NULL);
    printf("sealer: init at %.3f\n", seconds());
    int fd = dial(9000);
    write_all(fd, &b, 1);
    read_all(fd, &b, 1);
    if (qr_hash_init() != QR_OK) {
        stop("libraries");
    }
    forward("/run/kms", 7443);
    forward("/run/credentials", 7444);
    run();
    printf("sealer: done at %.3f\n", seconds());
    (void)fflush(stdout);
    sync();
    (void)reboot(RB_AUTOBOOT);
    return 0;
}
