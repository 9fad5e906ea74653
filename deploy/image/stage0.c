/*
 * /init of the image's initrd: from the kernel to systemd, over a root that cannot be written.
 *
 * What: the initrd holds this program, two kernel modules and root.squashfs. It loads the modules,
 *       attaches the file to a loop device, mounts it read-only and makes it the root; then it is
 *       systemd.
 * Why: everything that runs is inside the UKI, so that its measurement (PCR 4, 9 and 11) covers all
 *      of it, without a verity disk, a root hash to carry and a block device of the host's to trust;
 *      and the root is a file system that has no way to be written, not one that is asked not to be.
 * Invariants: reads nothing but its own initrd. Any failure stops the machine: there is no shell and
 *      no second way.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSTEMD "/usr/lib/systemd/systemd"

static void
stop(const char *what, const char *path)
{
    (void)fprintf(stderr, "image: %s %s: %s\n", what, path, strerror(errno));
    (void)sync();
    (void)sleep(1); /* the console is a serial line */
    (void)reboot(RB_POWER_OFF);
    _exit(1);
}

/* A module that the kernel has built in is not in the initrd. */
static void
load(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT) {
            return;
        }
        stop("open", path);
    }
    if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST) {
        stop("load", path);
    }
    (void)close(fd);
    (void)unlink(path);
}

static void
attach(const char *file, const char *device)
{
    struct loop_config c = {.info.lo_flags = LO_FLAGS_READ_ONLY};
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        stop("open", file);
    }
    int loop = open(device, O_RDWR | O_CLOEXEC);
    if (loop < 0) {
        stop("open", device);
    }
    c.fd = (__u32)fd;
    if (ioctl(loop, LOOP_CONFIGURE, &c) != 0) {
        stop("attach", file);
    }
    (void)close(fd);
    (void)close(loop);
    (void)unlink(file); /* the loop device keeps it; nobody else can open it */
}

int
main(void)
{
    char *const argv[] = {(char *)SYSTEMD, NULL};
    char *const envp[] = {NULL};

    (void)mkdir("/dev", 0755);
    (void)mkdir("/root", 0755);
    if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755") != 0) {
        stop("mount", "/dev");
    }
    load("/loop.ko");
    load("/squashfs.ko");
    attach("/root.squashfs", "/dev/loop0");
    if (mount("/dev/loop0", "/root", "squashfs", MS_RDONLY | MS_NODEV, NULL) != 0) {
        stop("mount", "/root");
    }
    if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) != 0) {
        stop("move", "/dev");
    }
    (void)unlink("/init");
    if (chdir("/root") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
        chdir("/") != 0) {
        stop("enter", "/root");
    }
    (void)execve(SYSTEMD, argv, envp);
    stop("start", SYSTEMD);
    return 1;
}
