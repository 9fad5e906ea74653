/* Events of the kernel: which one counts, and from whom. */
#include "enclave-shim/vmgenid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define V(text) qr_view_of(text, sizeof(text) - 1)

static void
events(void **state)
{
    (void)state;
    assert_true(qr_vmgenid_event(
        V("change@/devices/platform/VMGENCTR:00\0ACTION=change\0DRIVER=vmgenid\0NEW_VMGENID=1\0"
          "SEQNUM=4242\0")));
    assert_false(qr_vmgenid_event(V("change@/devices/x\0ACTION=change\0SEQNUM=1\0")));
    assert_false(qr_vmgenid_event(V("NEW_VMGENID=1")));    /* cut */
    assert_false(qr_vmgenid_event(V("NEW_VMGENID=10\0"))); /* another */
    assert_false(qr_vmgenid_event(V("XNEW_VMGENID=1\0")));
    assert_false(qr_vmgenid_event(V("")));
    assert_false(qr_vmgenid_event(V("\0\0\0")));
    assert_true(qr_vmgenid_event(V("\0NEW_VMGENID=1\0\0")));
}

/* A process of this machine says so, over any socket: nobody listens to it. */
static void
not_the_kernel(void **state)
{
    static const char text[] = "change@/x\0NEW_VMGENID=1";
    int two[2];
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, two), 0);
    assert_int_equal(write(two[0], text, sizeof text), sizeof text);
    assert_int_equal(qr_vmgenid_changed(two[1]), 0);
    (void)close(two[0]);
    (void)close(two[1]);
    assert_int_equal(qr_vmgenid_changed(-1), 0);
    int fd = qr_vmgenid_open();
    if (fd >= 0) { /* as in most containers */
        struct sockaddr_nl to = {.nl_family = AF_NETLINK};
        socklen_t len = sizeof to;
        assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &len), 0);
        int s = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
        assert_true(s >= 0);
        (void)sendto(s, text, sizeof text, 0, (struct sockaddr *)&to, sizeof to);
        assert_int_equal(qr_vmgenid_changed(fd), 0);
        (void)close(s);
        (void)close(fd);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events),
        cmocka_unit_test(not_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
