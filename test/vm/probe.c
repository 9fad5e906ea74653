/*
 * probe: /init of the smallest enclave, for test/vm/nitro_boot.py.
 *
 * What: says on the console what an enclave sees (its PCRs through /dev/nsm, entropy), gives the
 *       heartbeat that nitro-cli waits for, and hands an attestation document to the parent.
 * Why: the kernel, the image's layout and the two devices are tested before any of the product's
 *      programs runs. Built static, over the product's own code for the NSM.
 */
#include "enclave-shim/nitro/nsm.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PARENT 3u
#define HEARTBEAT_PORT 9000u
#define REPORT_PORT 9001u

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
    printf("probe: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    sync();
    (void)reboot(RB_AUTOBOOT);
}

static int
dial(unsigned port)
{
    const struct sockaddr_vm a = {.svm_family = AF_VSOCK, .svm_cid = PARENT, .svm_port = port};
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        stop("connect to the parent");
    }
    return fd;
}

static void
heartbeat(void)
{
    uint8_t b = 0xb7, back = 0;
    int fd = dial(HEARTBEAT_PORT);

    if (write(fd, &b, 1) != 1 || read(fd, &back, 1) != 1 || back != 0xb7) {
        stop("heartbeat");
    }
    close(fd);
    printf("probe: heartbeat at %.3f\n", seconds());
}

static void
pcrs(struct qr_nsm *n)
{
    uint8_t pcr[QR_NSM_PCR_LEN];
    int locked = 0;

    for (unsigned i = 0; i < 9; i++) {
        if (qr_nsm_pcr(n, i, pcr, &locked) != QR_OK) {
            printf("probe: %s\n", n->why);
            stop("DescribePCR");
        }
        printf("probe: PCR%u ", i);
        for (size_t k = 0; k < sizeof pcr; k++) {
            printf("%02x", pcr[k]);
        }
        printf(" %s\n", locked ? "locked" : "open");
    }
}

/* A document over the 32 bytes that the parent sends, back to it. */
static void
document(struct qr_nsm *n)
{
    static uint8_t doc[QR_NSM_ANSWER_MAX];
    uint8_t user[32];
    struct qr_buf b = qr_buf_over(doc, sizeof doc);
    int fd = dial(REPORT_PORT);

    if (recv(fd, user, sizeof user, MSG_WAITALL) != (ssize_t)sizeof user) {
        stop("the parent's question");
    }
    double t = seconds();
    if (qr_nsm_attest(n, qr_view_of(user, sizeof user), qr_view_of(NULL, 0), qr_view_of(NULL, 0),
                      &b) != QR_OK) {
        printf("probe: %s\n", n->why);
        stop("Attestation");
    }
    printf("probe: document of %zu bytes in %.1f ms\n", b.len, (seconds() - t) * 1e3);
    for (size_t at = 0; at < b.len;) {
        ssize_t k = write(fd, doc + at, b.len - at);
        if (k <= 0) {
            stop("write");
        }
        at += (size_t)k;
    }
    (void)shutdown(fd, SHUT_WR);
    (void)!read(fd, user, 1);
    close(fd);
}

int
main(void)
{
    static struct qr_nsm n;
    struct qr_nsm_info info;
    uint8_t random[64];

    double t = seconds();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    printf("probe: init at %.3f\n", t);
    if (mount("dev", "/dev", "devtmpfs", 0, NULL) != 0 && errno != EBUSY) {
        stop("mount /dev");
    }
    if (qr_nsm_open(QR_NSM_PATH, &n) != QR_OK || qr_nsm_describe(&n, &info) != QR_OK ||
        qr_nsm_random(&n, random, sizeof random) != QR_OK) {
        printf("probe: %s\n", n.why);
        stop("/dev/nsm");
    }
    printf("probe: module %s version %u.%u.%u, %u PCRs\n", info.module_id, info.version_major,
           info.version_minor, info.version_patch, info.max_pcrs);
    pcrs(&n);
    heartbeat();
    document(&n);
    printf("probe: done at %.3f\n", seconds());
    sync();
    (void)reboot(RB_AUTOBOOT);
    return 1;
}
