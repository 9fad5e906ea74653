/*
 * What a party gives up: core files, debuggers, new privileges, and most system calls.
 *
 * Why: inside an enclave image there is no systemd to do it, and a parser that fell should find
 *      nothing to go on with: no exec, no new process, no file to write, no executable memory.
 * Order: qr_sandbox_harden() first thing in main, before any secret exists. qr_sandbox_enter() when
 *       all files and listeners are open; it binds every thread of the process, also those that
 *       libraries started, and every thread started later. Neither can be undone.
 * After enter a forbidden call ends the process with SIGSYS. Softer refusals, because libraries try
 *       these in good faith and cope: executable mappings (EACCES), clone3 (ENOSYS: clone is used
 *       instead), netlink sockets (EAFNOSUPPORT), removing a file (EPERM).
 * Devices: a TPM is read, written and polled through the descriptor that is open, which the list has
 *       anyhow. /dev/nsm takes one ioctl, let through for Nitro parties alone. Reports of configfs-tsm and
 *       /dev/sev-guest want files opened for writing, folders made, other ioctls: a process of its own
 *       does that (tsm/helper.h), under a list of its own that has no socket, no process and no thread.
 * Still possible: what is open, sockets (UNIX, IPv4, IPv6, VSOCK), epoll, timers, threads, memory,
 *       reading files. So name resolution must work by files and DNS: a module of nsswitch.conf that
 *       glibc would have to load is passed over.
 */
#ifndef QR_SANDBOX_H
#define QR_SANDBOX_H

#include "protocol/base/err.h"

#include <stddef.h>

/* Not dumpable, no core files, no new privileges. QR_ERR_PLATFORM; err_text says what failed. */
qr_err QR_MUST qr_sandbox_harden(char *err_text, size_t err_cap);
/* Whose list of calls. */
enum qr_sandbox_role {
    QR_SANDBOX_PARTY,
    QR_SANDBOX_NITRO,   /* a party, and the ioctl of /dev/nsm */
    QR_SANDBOX_REPORTS, /* the process that asks the kernel for reports */
};
/* The system call filter. QR_ERR_PLATFORM, also on a kernel without seccomp. */
qr_err QR_MUST qr_sandbox_enter_as(enum qr_sandbox_role role, char *err_text, size_t err_cap);
/* QR_SANDBOX_PARTY. */
qr_err QR_MUST qr_sandbox_enter(char *err_text, size_t err_cap);

#endif
