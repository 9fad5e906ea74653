/*
 * The facades' configuration: one JSON document each, strict, in a file of mode 0600.
 *
 * kms: {"v":1,"type":"quorate/kms-facade","region":"us-east-1","account":"111122223333",
 *       "keys":[{"id":"hot-1","key":"<66 hex>","path":[0,5],"aliases":["payouts"],"description":"…"}],
 *       "access":[{"id":"AKIDEXAMPLE","secret":"<16..128 characters>","keys":["hot-1"]}]}
 *       keys of an access key: ids, or "*" for all. description and aliases may be left out.
 * rpc: {"v":1,"type":"quorate/rpc-facade","chain_id":1,"token":"<32..128 characters>",
 *       "hosts":["127.0.0.1:8545"],"origins":["https://app.example.org"],
 *       "accounts":[{"key":"<66 hex>","path":[0,1]}]}
 *       token: left out on a Unix socket alone. hosts: beside the listener's own address; origins: of
 *       pages that may ask; both may be left out.
 * Why a file of their own: they hold secrets, and say which of the client's keys are shown to whom.
 * What they allow is never more than the client's rules in the policy.
 */
#ifndef QR_FACADE_CONF_H
#define QR_FACADE_CONF_H

#include "protocol/base/limits.h"
#include "protocol/base/mem.h"

#define QR_FACADE_CONF_MAX (256u * 1024u)
#define QR_FACADE_KEYS_MAX 256u
#define QR_FACADE_ACCESS_MAX 64u
#define QR_FACADE_ALIASES_MAX 4u
#define QR_FACADE_HOSTS_MAX 8u
#define QR_FACADE_SECRET_MAX 128u
#define QR_FACADE_TEXT_MAX 256u

/* One key of the quorum, or a child of it. */
struct qr_facade_key {
    uint8_t key[33];
    uint32_t path[QR_PATH_MAX];
    size_t depth;
    char id[QR_NAME_MAX + 1]; /* kms alone, as the rest */
    char alias[QR_FACADE_ALIASES_MAX][QR_NAME_MAX + 1];
    size_t n_aliases;
    char description[QR_FACADE_TEXT_MAX + 1];
};

struct qr_facade_access {
    char id[QR_NAME_MAX + 1];
    char secret[QR_FACADE_SECRET_MAX + 1];
    uint8_t may[QR_FACADE_KEYS_MAX]; /* 1: this access key may use key i */
};

struct qr_facade_conf {
    size_t n_keys; /* or accounts */
    struct qr_facade_key key[QR_FACADE_KEYS_MAX];
    /* kms */
    char region[QR_NAME_MAX + 1], account[16];
    size_t n_access;
    struct qr_facade_access access[QR_FACADE_ACCESS_MAX];
    /* rpc */
    uint64_t chain_id;
    char token[QR_FACADE_SECRET_MAX + 1]; /* "": none */
    size_t n_hosts, n_origins;
    char host[QR_FACADE_HOSTS_MAX][QR_FACADE_TEXT_MAX + 1];
    char origin[QR_FACADE_HOSTS_MAX][QR_FACADE_TEXT_MAX + 1];
};

enum qr_facade_sort { QR_FACADE_KMS, QR_FACADE_RPC };

/* Errors as qr_json_fields, DUPLICATE (an id, an alias), NOT_FOUND (a key that is not listed). */
qr_err QR_MUST qr_facade_conf_parse(enum qr_facade_sort sort, qr_view text,
                                    struct qr_facade_conf **ret, char *err, size_t cap);
/* From a file that nobody else may read. Also CONFIG, PERMISSIONS. */
qr_err QR_MUST qr_facade_conf_load(enum qr_facade_sort sort, const char *path,
                                   struct qr_facade_conf **ret, char *err, size_t cap);
/* Wipes it. Takes NULL, returns NULL. */
struct qr_facade_conf *qr_facade_conf_free(struct qr_facade_conf *c);

#endif
