#include "enclave-shim/vmgenid.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KERNEL_GROUP 1u
#define MESSAGE_MAX 8192u
#define MESSAGES_MAX 256 /* in one turn; the rest waits for the next */

int
qr_vmgenid_open(void)
{
    struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

int
qr_vmgenid_event(qr_view m)
{
    static const char news[] = "NEW_VMGENID=1";
    int is_news = 0;

    while (m.len > 0) {
        const uint8_t *end = memchr(m.p, 0, m.len);
        if (!end) {
            return 0;
        }
        size_t n = (size_t)(end - m.p) + 1;
        is_news |= n == sizeof news && memcmp(m.p, news, n) == 0;
        m.p += n;
        m.len -= n;
    }
    return is_news;
}

int
qr_vmgenid_changed(int fd)
{
    uint8_t mem[MESSAGE_MAX];
    int changed = 0;

    for (int i = 0; fd >= 0 && i < MESSAGES_MAX; i++) {
        struct sockaddr_nl from = {0};
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(fd, mem, sizeof mem, MSG_TRUNC, (struct sockaddr *)&from, &len);
        if (n <= 0) {
            break;
        }
        if (len == sizeof from && from.nl_pid == 0 && (from.nl_groups & KERNEL_GROUP) &&
            (size_t)n <= sizeof mem) {
            changed |= qr_vmgenid_event(qr_view_of(mem, (size_t)n));
        }
    }
    return changed;
}
