/*
 * qr_vmgenid: a hint that this machine was restored from a snapshot.
 *
 * What: listens for the kernel's event that the hypervisor changed the virtual machine's generation id
 *       (VMGENID; kernels as Debian 13's announce it by a uevent of the driver). A party that hears it ends
 *       itself: its next process has another boot nonce, and none of the presignatures of this one.
 * Why a hint only: the id is the host's. Its silence proves nothing, a host that copies machines need
 *       not change it, and a change costs no more than a restart, which a host can always have. What makes
 *       a copy a stranger is the peers' work (transport/chain.h).
 * Invariants: only the kernel's own messages count (netlink port 0, the kernel's group); they are bounded
 *       and read to their end.
 * Thread rules: single-threaded; opened before the filter of system calls, which lets no such socket be
 *       made afterwards.
 */
#ifndef QR_VMGENID_H
#define QR_VMGENID_H

#include "protocol/base/view.h"

/* A descriptor to poll for reading, or -1 where there is nothing to hear (no netlink): no error. */
int qr_vmgenid_open(void);
/* Takes all that waits at fd; 1: the generation changed. */
int qr_vmgenid_changed(int fd);
/* One message of the kernel's: strings that end with NUL. 1: it announces a change. */
int qr_vmgenid_event(qr_view message);

#endif
