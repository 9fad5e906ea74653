/*
 * qr_gw_store: the gateway keeps the sealed store of a party that has no disk.
 *
 * What: answers the questions of store_wire.h from a file of its own (store_db.c), a commit in one
 *       transaction, durable before it is answered; and small values of the party's platform beside it.
 * Why: an enclave has no disk. What is kept is sealed, and the party judges what it gets back; the
 *      gateway sees to durability and to nothing else.
 * Invariants: at most QR_GW_STORE_CONNS connections, one question of bounded length each; a question is
 *      judged whole before anything is changed; a commit against another head than the one that is there
 *      is refused, so two parties cannot write in turn. The file has one owner: it is locked.
 * Thread rules: the gateway's thread, which waits for the disk during a commit (commits are rare: keys,
 *      documents, peers that come and go).
 */
#ifndef QR_GW_STORE_H
#define QR_GW_STORE_H

#include "protocol/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define QR_GW_STORE_CONNS 4u

struct qr_gw_store;

/*
 * path: the file; listen: unix:///PATH (made with mode 0660) or tcp://ADDRESS:PORT. Errors: those of
 * qr_db_open, and ADDRESS; err_text says what and where.
 */
qr_err QR_MUST qr_gw_store_new(const char *path, const char *listen, struct qr_gw_store **ret,
                               char *err_text, size_t err_cap);
struct qr_gw_store *qr_gw_store_free(struct qr_gw_store *s);
int qr_gw_store_fd(const struct qr_gw_store *s); /* polls readable when step has work */
void qr_gw_store_step(struct qr_gw_store *s);
uint16_t qr_gw_store_port(const struct qr_gw_store *s); /* of tcp; tests listen on port 0 */

#endif
