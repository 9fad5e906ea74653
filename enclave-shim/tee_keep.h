/*
 * qr_tee_keep: where a platform keeps a few small things of its own between starts.
 *
 * What: named values, "load" and "save", as a table of functions. A platform that seals by a wrapped
 *       key (a KMS ciphertext, a TPM's sealed object with its public part) has to have that key's
 *       wrapping somewhere before any store can be opened. Two implementations: files in the state
 *       folder (tee_keep.c) and the host's store (daemon/store_remote.h), for a party without a disk.
 * Why apart from the store: the store is sealed by what is kept here.
 * Invariants: what is kept is the host's to read, change, withhold and roll back: values are wrapped
 *       by the platform before they come here and are judged when they come back. save is durable
 *       when it returns OK, and all or nothing. At most QR_TEE_KEEP_MAX bytes a value; names are
 *       1..QR_TEE_KEEP_NAME_MAX of [a-z0-9-].
 * Order: the filter of system calls (sandbox.h) forbids opening a file for writing, so with the file
 *       implementation every save happens before qr_sandbox_enter; after it save fails with USAGE
 *       once qr_tee_keep_seal was called, instead of ending the process. load goes on working. The
 *       remote implementation saves at any time.
 * Thread rules: single-threaded.
 */
#ifndef QR_TEE_KEEP_H
#define QR_TEE_KEEP_H

#include "protocol/base/err.h"
#include "protocol/base/mem.h"

#define QR_TEE_KEEP_NAME_MAX 32u
#define QR_TEE_KEEP_MAX 16384u

struct qr_tee_keep {
    void *ctx;
    /*
     * out is replaced. NOT_FOUND: never saved (or withheld: who must have it says so). USAGE (name),
     * TOO_LARGE, PERMISSIONS, STORE, NO_MEMORY.
     */
    qr_err (*load)(void *ctx, const char *name, struct qr_dbuf *out);
    /* USAGE (name, or too late), TOO_LARGE, STORE_FULL, STORE_READONLY, STORE. */
    qr_err (*save)(void *ctx, const char *name, qr_view v);
    /* Why the last call failed: what, where, what to do. */
    const char *(*why)(void *ctx);
    void (*free)(void *ctx);
};

/*
 * Files "keep-NAME" in dir, mode 0600, written beside and renamed, with fsync of file and folder. The
 * folder must be ours (or root's) and no one else's to write. PERMISSIONS, STORE, NO_MEMORY; err_text
 * says what and where.
 */
qr_err QR_MUST qr_tee_keep_files(const char *dir, struct qr_tee_keep *ret, char *err_text,
                                 size_t err_cap);
/* Only for what qr_tee_keep_files made: from here on save refuses. Call it before the sandbox. */
void qr_tee_keep_seal(struct qr_tee_keep *k);
/* Zeroes the table. Takes a zeroed one. */
void qr_tee_keep_close(struct qr_tee_keep *k);

/* 1 if it is a name as above; for implementations. */
int qr_tee_keep_is_name(const char *name);

#endif
