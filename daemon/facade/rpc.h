/*
 * Ethereum JSON-RPC in front of a quorum: the methods that sign, and no node.
 *
 * What: POST / with a JSON-RPC 2.0 call or a batch of up to QR_RPC_BATCH_MAX: eth_accounts, eth_chainId,
 *       net_version, web3_clientVersion, personal_sign, eth_sign, eth_signTypedData_v4, eth_signTransaction (the
 *       answer is {raw,tx}). A message is signed as EIP-191, typed data as EIP-712, a transaction as what it is:
 *       parties see all of it and judge it.
 * Who may ask: whoever has the bearer token; on a Unix socket our own user. A web page may have the
 *       token and still not ask: Host must be the listener's address (against DNS rebinding), and Origin,
 *       where a browser sends one, must be configured.
 * Trust: as of kms.h: a broken facade can ask for what its client's rules allow.
 * Errors: JSON-RPC's; -32003 the quorum refused, -32005 a limit, -32002 not now (EIP-1474). `data` has the
 *       quorum's own code and rule.
 * Thread rules: qr_rpc_handle is called by many threads at once.
 */
#ifndef QR_FACADE_RPC_H
#define QR_FACADE_RPC_H

#include "daemon/client/client.h"
#include "daemon/facade/conf.h"
#include "daemon/facade/http.h"

#include <pthread.h>

#define QR_RPC_BATCH_MAX 32u
#define QR_RPC_BODY_MAX (96u * 1024u)

struct qr_rpc {
    struct qr_client *client;
    const struct qr_facade_conf *conf;
    char own_host[2][64]; /* "127.0.0.1:8545", "localhost:8545"; "": none */
    pthread_mutex_t lock; /* what follows */
    uint8_t address[QR_FACADE_KEYS_MAX][20];
    uint8_t known[QR_FACADE_KEYS_MAX];
};

/* Before the first request; port as the listener has it (0: a Unix socket). NO_MEMORY. */
qr_err QR_MUST qr_rpc_init(struct qr_rpc *r, struct qr_client *client,
                           const struct qr_facade_conf *conf);
void qr_rpc_listens(struct qr_rpc *r, const char *listen, uint16_t port);
void qr_rpc_clear(struct qr_rpc *r);
/* ctx: a struct qr_rpc. */
void qr_rpc_handle(void *ctx, const struct qr_facade_request *r, struct qr_facade_answer *a);

/* ---- inside (rpc.c, rpc_eth.c) ---- */

struct json_t;

enum { /* EIP-1474, JSON-RPC 2.0 */
       QR_RPC_PARSE = -32700,
       QR_RPC_REQUEST = -32600,
       QR_RPC_METHOD = -32601,
       QR_RPC_PARAMS = -32602,
       QR_RPC_INTERNAL = -32603,
       QR_RPC_UNAVAILABLE = -32002,
       QR_RPC_REFUSED = -32003,
       QR_RPC_LIMIT = -32005,
};

struct qr_rpc_call {
    struct qr_rpc *r;
    const char *method;
    const struct json_t *params; /* an array */
    struct json_t *result;       /* NULL: an error */
    int code;
    char why[1400];
    char problem[40], rule[QR_NAME_MAX + 1]; /* the quorum's, for `data`; "" */
    char request[65];                        /* the request hash, for the log */
};

void qr_rpc_fail(struct qr_rpc_call *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Runs c->method; c->result or c->code is set. */
void qr_rpc_run(struct qr_rpc_call *c);

#endif
