/*
 * The store of a party without a disk, kept by its gateway; and what its platform keeps there.
 *
 * What: qr_db's operations as questions to the gateway (store_wire.h), blocking, each within
 *       10 s; a commit is one question, on a connection that has just answered.
 * Why: an enclave has no disk. The host keeps a party's store in any case, hostile in any case; this
 *      moves the file, not the trust.
 * Invariants: every answer is bounded before it is read and checked whole; the head that we wrote last
 *      must be the one that is there after a reconnection (else STORE_CORRUPT: the host has put back
 *      another); a question that was lost on its way is asked again once, a commit only if not all of it
 *      was handed over. A commit whose outcome is unknown fails for good: every later call fails until
 *      the store is opened again, which shows what became of it.
 * Sandbox: sockets only, so all of it works after qr_sandbox_enter too.
 * Thread rules: single-threaded.
 */
#ifndef QR_STORE_REMOTE_H
#define QR_STORE_REMOTE_H

#include "daemon/store_db.h"
#include "enclave-shim/tee_keep.h"

/* As qr_db_open. STORE: nobody there, or not in time; try again. */
qr_err QR_MUST qr_db_remote_open(const char *where, struct qr_db **ret, int *ret_fresh,
                                 char *err_text, size_t err_cap);

/* What a platform keeps, at the same place; a connection for each call. ADDRESS, NO_MEMORY. */
qr_err QR_MUST qr_tee_keep_remote(const char *where, struct qr_tee_keep *ret, char *err_text,
                                  size_t err_cap);

#endif
