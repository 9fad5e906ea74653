/*
 * Configuration files: INI with a strict schema, one table per program.
 *
 * What: each key is one row {section, key, type, bounds, default, doc} of a table in config.c; the
 *       parser, the error texts, --print-default-config and --check-config all come from it.
 * Why: a typing error must not become a default. An unknown section or key, a repeated key, a
 *      value out of range or without its unit is a failure that names file, line and key and says
 *      what is allowed.
 * Invariant: the host supplies this file, so nothing in it can weaken the policy or the roster:
 *      it holds addresses, paths, sizes and timings only. No secret is in it.
 * Units: durations 500ms, 10s, 5m; sizes 64KiB, 1MiB; a number without its unit is refused.
 * Thread rules: none; used at start-up.
 */
#ifndef QR_CONFIG_H
#define QR_CONFIG_H

#include "daemon/bases.h"
#include "protocol/base/err.h"
#include "protocol/base/limits.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define QR_PRODUCT_VERSION "0.1.0"

#define QR_CONFIG_TEXT_MAX 168u /* any text value, with its NUL; paths of AF_UNIX sockets: 107 */

/* Exit codes of all programs. */
enum qr_exit {
    QR_EXIT_OK = 0,
    QR_EXIT_USAGE = 64,
    QR_EXIT_INTERNAL = 70,
    QR_EXIT_TEMPORARY = 75,
    QR_EXIT_REFUSED = 77, /* attestation or authority refused */
    QR_EXIT_CONFIG = 78,
};

enum qr_config_link { QR_CONFIG_LINK_NNG, QR_CONFIG_LINK_SOCK };

/* quorated.conf */
struct qr_config_party {
    char state_dir[QR_CONFIG_TEXT_MAX];
    char listen[QR_CONFIG_TEXT_MAX];    /* tcp://address:port, for peers */
    char advertise[QR_CONFIG_TEXT_MAX]; /* what the descriptor says; equals listen if not set */
    char cloud[QR_NAME_MAX];            /* free names; the descriptor carries them */
    char operator_name[QR_NAME_MAX];
    char gateway_socket[QR_CONFIG_TEXT_MAX];
    char admin_socket[QR_CONFIG_TEXT_MAX];
    uint32_t admin_uid;             /* one more user of the admin socket; 0: none */
    uint32_t link;                  /* enum qr_config_link */
    uint32_t zstd;                  /* level, 0: off */
    char via[QR_CONFIG_TEXT_MAX];   /* 127.0.0.1:PORT: party i is dialled at PORT + i; or empty */
    char store[QR_CONFIG_TEXT_MAX]; /* where the host keeps the store, or empty: in state_dir */
    struct {
        char platform[QR_NAME_MAX]; /* a word of enclave-shim/tee_open.h */
        uint32_t patience_ms;       /* a busy device is tried again for so long */
        /* Empty: the platform's usual path, or none. */
        char tpm[QR_CONFIG_TEXT_MAX], tsm[QR_CONFIG_TEXT_MAX], sev_guest[QR_CONFIG_TEXT_MAX];
        char tsm_entry[QR_NAME_MAX];
        char nsm[QR_CONFIG_TEXT_MAX], cc_log[QR_CONFIG_TEXT_MAX], tcg_log[QR_CONFIG_TEXT_MAX];
        char ak_chain[QR_CONFIG_TEXT_MAX], release[QR_CONFIG_TEXT_MAX];
        char release_key[QR_CONFIG_TEXT_MAX];
        char kms_key[QR_CONFIG_TEXT_MAX], kms_route[QR_CONFIG_TEXT_MAX],
            kms_credentials[QR_CONFIG_TEXT_MAX];
    } tee;
    struct {
        uint32_t low;     /* refill a set's pool below this; 0: fill once, never refill */
        uint32_t high;    /* and up to this */
        uint32_t standby; /* kept for each set that is not the preferred one */
        uint32_t batch;   /* 4, 8, 12 or 16 */
    } pool;
    struct {
        uint32_t timeout_ms; /* for a member of the set, before the request moves to another */
    } sign;
    struct {
        uint32_t level, format; /* enum qr_log_level, enum qr_log_format */
    } log;
};

/* quorate-gateway.conf */
struct qr_config_gateway {
    char listen[QR_CONFIG_TEXT_MAX];         /* 127.0.0.1:8440, [::1]:8440 */
    char metrics_listen[QR_CONFIG_TEXT_MAX]; /* or empty: /metrics on `listen` if it is loopback */
    char tls_cert[QR_CONFIG_TEXT_MAX];       /* PEM chain, or empty */
    char tls_key[QR_CONFIG_TEXT_MAX];        /* PEM, mode 0600, or empty */
    char party_socket[QR_CONFIG_TEXT_MAX];
    uint32_t max_connections;
    uint32_t header_max; /* bytes of request line and headers */
    uint32_t max_per_ip;
    uint32_t max_in_flight;        /* requests at the party; more are answered 503 */
    uint32_t idle_timeout_ms;      /* keep-alive connection without a request */
    uint32_t request_timeout_ms;   /* header and body, from the first byte of silence to the last */
    uint32_t answer_timeout_ms;    /* the party's answer; then 504 */
    uint32_t drain_timeout_ms;     /* after SIGTERM */
    char cors[QR_CONFIG_TEXT_MAX]; /* origins, or empty: gw_cors.h */
    struct {
        char path[QR_CONFIG_TEXT_MAX];   /* the party's store, kept here; or empty */
        char listen[QR_CONFIG_TEXT_MAX]; /* set if path is */
    } store;
    struct {
        char path[QR_CONFIG_TEXT_MAX]; /* folder of the party's audit log, or empty: not kept */
    } audit;
    struct {
        char cache[QR_CONFIG_TEXT_MAX]; /* a folder, or empty: documents are kept in memory only */
        uint32_t refresh_ms;
        struct qr_need_bases bases;
    } collateral;
    struct {
        uint32_t level, format;
    } log;
};

enum qr_config_role { QR_CONFIG_PARTY, QR_CONFIG_GATEWAY };

/*
 * Parses PATH into *ret (the struct of the role, filled with defaults first). CONFIG: err_text says
 * "FILE:LINE: [section] key: what is wrong; what is allowed"; *ret is then unspecified.
 */
qr_err QR_MUST qr_config_load(enum qr_config_role role, const char *path, void *ret, char *err_text,
                              size_t err_cap);
/* A file that parses to cfg, with the doc of every key as comments. cfg NULL: the defaults. */
void qr_config_print(enum qr_config_role role, const void *cfg, FILE *out);

/*
 * The command line of a daemon: --config FILE (-c), --check-config, --print-default-config,
 * --version, --help. Prints what was asked for (errors to stderr) and returns an enum qr_exit, or
 * -1 to go on with *ret filled and logging initialised.
 */
int qr_config_main(enum qr_config_role role, int argc, char **argv, void *ret);

#endif
