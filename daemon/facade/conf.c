#include "daemon/facade/conf.h"

#include "proto/json_strict.h"
#include "protocol/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONF_VALUES 16384u

static void
put(char *to, qr_view v)
{
    if (v.len) {
        memcpy(to, v.p, v.len);
    }
    to[v.len] = '\0';
}

/* ---- keys ---- */

static qr_err
read_path(const struct qr_json_at *list, struct qr_facade_key *k)
{
    k->depth = qr_json_count(list);
    for (size_t i = 0; i < k->depth; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        uint64_t v = 0;
        const struct qr_json_field f = {"", QR_JSON_U64, 0, 0x7fffffff, &v, NULL};
        QR_TRY(qr_json_value(&at, &f));
        k->path[i] = (uint32_t)v;
    }
    return QR_OK;
}

static qr_err
read_aliases(const struct qr_json_at *list, struct qr_facade_key *k)
{
    k->n_aliases = qr_json_count(list);
    for (size_t i = 0; i < k->n_aliases; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        qr_view v;
        const struct qr_json_field f = {"", QR_JSON_NAME, 1, QR_NAME_MAX, &v, NULL};
        QR_TRY(qr_json_value(&at, &f));
        put(k->alias[i], v);
    }
    return QR_OK;
}

static int
has_alias(const struct qr_facade_key *k, const char *name)
{
    for (size_t i = 0; i < k->n_aliases; i++) {
        if (strcmp(k->alias[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}

static qr_err
read_key(const struct qr_json_at *at, enum qr_facade_sort sort, struct qr_facade_conf *c)
{
    struct qr_facade_key *k = &c->key[c->n_keys];
    struct qr_json_at path, aliases;
    qr_view id = {0}, description = {0};
    int has_aliases = 0, has_description = 0;
    const struct qr_json_field kms[] = {
        {"id", QR_JSON_NAME, 1, QR_NAME_MAX, &id, NULL},
        {"key", QR_JSON_HEX, 0, 33, k->key, NULL},
        {"path", QR_JSON_ARRAY, 0, QR_PATH_MAX, &path, NULL},
        {"aliases", QR_JSON_ARRAY, 0, QR_FACADE_ALIASES_MAX, &aliases, &has_aliases},
        {"description", QR_JSON_TEXT, 0, QR_FACADE_TEXT_MAX, &description, &has_description},
        {.type = QR_JSON_END},
    };
    const struct qr_json_field rpc[] = {
        {"key", QR_JSON_HEX, 0, 33, k->key, NULL},
        {"path", QR_JSON_ARRAY, 0, QR_PATH_MAX, &path, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, sort == QR_FACADE_KMS ? kms : rpc));
    if (k->key[0] != 2 && k->key[0] != 3) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "key must be a compressed point");
    }
    QR_TRY(read_path(&path, k));
    put(k->id, id);
    put(k->description, description);
    if (has_aliases) {
        QR_TRY(read_aliases(&aliases, k));
    }
    for (size_t i = 0; sort == QR_FACADE_KMS && i < c->n_keys; i++) {
        if (strcmp(c->key[i].id, k->id) == 0) {
            return qr_json_fail(at, QR_ERR_DUPLICATE, "id \"%s\" stands twice", k->id);
        }
        for (size_t a = 0; a < k->n_aliases; a++) {
            if (has_alias(&c->key[i], k->alias[a])) {
                return qr_json_fail(at, QR_ERR_DUPLICATE, "alias \"%s\" stands twice", k->alias[a]);
            }
        }
    }
    c->n_keys++;
    return QR_OK;
}

static qr_err
read_keys(const struct qr_json_at *list, enum qr_facade_sort sort, struct qr_facade_conf *c)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        QR_TRY(read_key(&at, sort, c));
    }
    return QR_OK;
}

/* ---- kms ---- */

static qr_err
read_may(const struct qr_json_at *list, const struct qr_facade_conf *c, struct qr_facade_access *a)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        qr_view v;
        size_t found = 0;
        const struct qr_json_field f = {"", QR_JSON_TEXT, 1, QR_NAME_MAX, &v, NULL};
        QR_TRY(qr_json_value(&at, &f));
        for (size_t k = 0; k < c->n_keys; k++) {
            if (qr_view_eq(v, qr_view_str("*")) || qr_view_eq(v, qr_view_str(c->key[k].id))) {
                a->may[k] = 1;
                found++;
            }
        }
        if (!found) {
            return qr_json_fail(&at, QR_ERR_NOT_FOUND, "no key has this id");
        }
    }
    return QR_OK;
}

static qr_err
read_access(const struct qr_json_at *list, struct qr_facade_conf *c)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i), may;
        struct qr_facade_access *a = &c->access[c->n_access];
        qr_view id, secret;
        const struct qr_json_field fields[] = {
            {"id", QR_JSON_NAME, 4, QR_NAME_MAX, &id, NULL},
            {"secret", QR_JSON_TEXT, 16, QR_FACADE_SECRET_MAX, &secret, NULL},
            {"keys", QR_JSON_ARRAY, 1, QR_FACADE_KEYS_MAX, &may, NULL},
            {.type = QR_JSON_END},
        };
        QR_TRY(qr_json_fields(&at, fields));
        put(a->id, id);
        put(a->secret, secret);
        for (size_t k = 0; k < c->n_access; k++) {
            if (strcmp(c->access[k].id, a->id) == 0) {
                return qr_json_fail(&at, QR_ERR_DUPLICATE, "id \"%s\" stands twice", a->id);
            }
        }
        QR_TRY(read_may(&may, c, a));
        c->n_access++;
    }
    return QR_OK;
}

static qr_err
read_kms(const struct qr_json_at *root, struct qr_facade_conf *c)
{
    struct qr_json_at keys, access;
    qr_view region, account;
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"type", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"region", QR_JSON_NAME, 1, QR_NAME_MAX, &region, NULL},
        {"account", QR_JSON_NAME, 12, 12, &account, NULL},
        {"keys", QR_JSON_ARRAY, 1, QR_FACADE_KEYS_MAX, &keys, NULL},
        {"access", QR_JSON_ARRAY, 1, QR_FACADE_ACCESS_MAX, &access, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_head(root, "quorate/kms-facade"));
    QR_TRY(qr_json_fields(root, fields));
    put(c->region, region);
    put(c->account, account);
    if (strspn(c->account, "0123456789") != account.len) {
        return qr_json_fail(root, QR_ERR_MALFORMED, "account must be 12 digits");
    }
    QR_TRY(read_keys(&keys, QR_FACADE_KMS, c));
    return read_access(&access, c);
}

/* ---- rpc ---- */

static qr_err
read_texts(const struct qr_json_at *list, char to[][QR_FACADE_TEXT_MAX + 1], size_t *ret_n)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        qr_view v;
        const struct qr_json_field f = {"", QR_JSON_TEXT, 1, QR_FACADE_TEXT_MAX, &v, NULL};
        QR_TRY(qr_json_value(&at, &f));
        put(to[i], v);
        *ret_n = i + 1;
    }
    return QR_OK;
}

static qr_err
read_rpc(const struct qr_json_at *root, struct qr_facade_conf *c)
{
    struct qr_json_at accounts, hosts, origins;
    qr_view token = {0};
    int has_token = 0, has_hosts = 0, has_origins = 0;
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"type", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"chain_id", QR_JSON_U64, 1, INT64_MAX, &c->chain_id, NULL},
        {"token", QR_JSON_TEXT, 32, QR_FACADE_SECRET_MAX, &token, &has_token},
        {"hosts", QR_JSON_ARRAY, 0, QR_FACADE_HOSTS_MAX, &hosts, &has_hosts},
        {"origins", QR_JSON_ARRAY, 0, QR_FACADE_HOSTS_MAX, &origins, &has_origins},
        {"accounts", QR_JSON_ARRAY, 1, QR_FACADE_KEYS_MAX, &accounts, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_head(root, "quorate/rpc-facade"));
    QR_TRY(qr_json_fields(root, fields));
    put(c->token, token);
    if (strchr(c->token, ' ')) {
        return qr_json_fail(root, QR_ERR_MALFORMED, "token must be without blanks");
    }
    if (has_hosts) {
        QR_TRY(read_texts(&hosts, c->host, &c->n_hosts));
    }
    if (has_origins) {
        QR_TRY(read_texts(&origins, c->origin, &c->n_origins));
    }
    return read_keys(&accounts, QR_FACADE_RPC, c);
}

/* ---- both ---- */

qr_err
qr_facade_conf_parse(enum qr_facade_sort sort, qr_view text, struct qr_facade_conf **ret, char *err,
                     size_t cap)
{
    struct qr_json j = {0};
    struct qr_facade_conf *c = qr_alloc(sizeof *c);

    if (!c) {
        snprintf(err, cap, "%s", qr_err_text(QR_ERR_NO_MEMORY));
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = qr_json_parse(&j, text, CONF_VALUES, err, cap);
    if (e == QR_OK) {
        struct qr_json_at root = qr_json_root(&j);
        e = sort == QR_FACADE_KMS ? read_kms(&root, c) : read_rpc(&root, c);
    }
    qr_json_clear(&j);
    if (e != QR_OK) {
        qr_facade_conf_free(c);
        return e;
    }
    *ret = c;
    return QR_OK;
}

static qr_err
read_file(const char *path, uint8_t *buf, size_t *ret_len, char *err, size_t cap)
{
    struct stat st;
    qr_err e = QR_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    *ret_len = 0;
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(err, cap, "%s", strerror(errno));
        e = QR_ERR_CONFIG;
    } else if ((st.st_mode & 077) != 0) {
        snprintf(err, cap, "mode %04o lets others read the secrets in it; chmod 0600 it",
                 (unsigned)st.st_mode & 07777u);
        e = QR_ERR_PERMISSIONS;
    }
    while (e == QR_OK && *ret_len <= QR_FACADE_CONF_MAX &&
           (n = read(fd, buf + *ret_len, QR_FACADE_CONF_MAX + 1 - *ret_len)) > 0) {
        *ret_len += (size_t)n;
    }
    if (e == QR_OK && (n < 0 || *ret_len > QR_FACADE_CONF_MAX)) {
        snprintf(err, cap, "%s", n < 0 ? "it cannot be read" : "it is longer than 256 KiB");
        e = QR_ERR_CONFIG;
    }
    if (fd >= 0) {
        close(fd);
    }
    return e;
}

qr_err
qr_facade_conf_load(enum qr_facade_sort sort, const char *path, struct qr_facade_conf **ret,
                    char *err, size_t cap)
{
    uint8_t *buf = qr_alloc(QR_FACADE_CONF_MAX + 1);
    char why[QR_ERR_TEXT_MAX] = "";
    size_t len = 0;

    if (!buf) {
        snprintf(err, cap, "%s", qr_err_text(QR_ERR_NO_MEMORY));
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = read_file(path, buf, &len, why, sizeof why);
    if (e == QR_OK) {
        e = qr_facade_conf_parse(sort, qr_view_of(buf, len), ret, why, sizeof why);
    }
    qr_wipe(buf, QR_FACADE_CONF_MAX + 1);
    qr_free(buf);
    if (e != QR_OK) {
        snprintf(err, cap, "%s: %s", path, why);
    }
    return e;
}

struct qr_facade_conf *
qr_facade_conf_free(struct qr_facade_conf *c)
{
    if (c) {
        qr_wipe(c, sizeof *c);
        qr_free(c);
    }
    return NULL;
}
