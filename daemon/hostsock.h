/*
 * qr_hostsock: the party's two AF_UNIX sockets, one for the gateway, one for the operator.
 *
 * What: accepts connections, cuts frames, hands decoded asks up, writes answers back in batches.
 * Why: the host side is hostile: connections, buffered input and unsent answers are bounded, and a
 *      malformed frame closes its connection only.
 * Invariants: the operator's socket accepts root, the daemon's own user and at most one more, in an
 *      enclave the pump's, only (SO_PEERCRED); sockets are made with mode 0660 (gateway) and 0600
 *      (operator; 0660 with one more user).
 */
#ifndef QR_HOSTSOCK_H
#define QR_HOSTSOCK_H

#include "daemon/loop.h"
#include "proto/boundary.h"

struct qr_hostsock;

/* to: for qr_hostsock_answer, never 0. */
typedef void (*qr_host_ask_fn)(void *ctx, int admin, uint64_t to, const struct qr_ask *ask);

/* err_text: which socket, what, what to do. */
qr_err QR_MUST qr_hostsock_new(struct qr_loop *l, const char *gateway_path, const char *admin_path,
                               qr_host_ask_fn fn, void *ctx, struct qr_hostsock **ret,
                               char *err_text, size_t err_cap);
/* One more user of the operator's socket, of its group; 0: nobody. Before the sandbox. PERMISSIONS. */
qr_err QR_MUST qr_hostsock_admit(struct qr_hostsock *h, uint32_t uid, char *err_text,
                                 size_t err_cap);
struct qr_hostsock *qr_hostsock_free(struct qr_hostsock *h);
/* Queues one answer; ctx is the hostsock, `to` what came with the ask. A connection that is gone swallows it. */
void qr_hostsock_answer(void *ctx, uint64_t to, const struct qr_answer *a);
/* Writes everything queued; once per turn of the loop. */
void qr_hostsock_flush(struct qr_hostsock *h);
/* Drain: no new connections and no further reads. */
void qr_hostsock_stop(struct qr_hostsock *h);
/* 1 when no answer is left to write. */
int qr_hostsock_idle(const struct qr_hostsock *h);

#endif
