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
/* The system call filter. QR_ERR_PLATFORM, also on a kernel without seccomp. */
qr_err QR_MUST qr_sandbox_enter(char *err_text, size_t err_cap);

#endif
