#include "daemon/roster.h"

#include "protocol/base/mem.h"
#include "transport/address.h"

#include <sodium.h>
#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

/* 16 parties of 7 members, 16 administrators of 4, and the rest. */
#define ROSTER_VALUES 512u

qr_err
qr_platform_parse(qr_view name, enum qr_platform *ret)
{
    if (qr_view_eq(name, qr_view_str("unknown"))) {
        return QR_ERR_MALFORMED; /* the name of the numbers in between */
    }
    for (int p = QR_PLATFORM_SIM; p <= QR_PLATFORM_LAST; p++) {
        if (qr_view_eq(name, qr_view_str(qr_platform_name((enum qr_platform)p)))) {
            *ret = (enum qr_platform)p;
            return QR_OK;
        }
    }
    return QR_ERR_MALFORMED;
}

qr_err
qr_address_check(qr_view address)
{
    char text[QR_ADDRESS_MAX];
    struct qr_address a;

    if (address.len >= sizeof text || memchr(address.p, 0, address.len)) {
        return QR_ERR_ADDRESS;
    }
    memcpy(text, address.p, address.len);
    text[address.len] = 0;
    QR_TRY(qr_address_parse(text, &a));
    return a.kind == QR_ADDRESS_TCP && a.port == 0 ? QR_ERR_ADDRESS : QR_OK;
}

qr_err
qr_roster_read_party(const struct qr_json_at *at, struct qr_roster_party *ret,
                     const struct qr_json_field *more)
{
    qr_view address, cloud, operator_name, tee;
    char q[QR_QUOTE_MAX];
    struct qr_json_field fields[12] = {
        {"identity", QR_JSON_HEX, 0, 32, ret->identity, NULL},
        {"address", QR_JSON_TEXT, 1, QR_ADDRESS_MAX - 1, &address, NULL},
        {"cloud", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &cloud, NULL},
        {"operator", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &operator_name, NULL},
        {"tee", QR_JSON_TEXT, 1, 32, &tee, NULL},
    };
    size_t n = 5;

    for (; more->type != QR_JSON_END && n < 11; more++) {
        fields[n++] = *more;
    }
    fields[n].type = QR_JSON_END;
    QR_TRY(qr_json_fields(at, fields));
    if (qr_address_check(address) != QR_OK) {
        return qr_json_fail(at, QR_ERR_ADDRESS,
                            "address \"%s\" is not tcp://HOST:PORT or unix:///PATH",
                            qr_quote(q, address));
    }
    if (qr_platform_parse(tee, &ret->platform) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "unknown tee \"%s\"", qr_quote(q, tee));
    }
    if (crypto_core_ed25519_is_valid_point(ret->identity) != 1) {
        return qr_json_fail(at, QR_ERR_POINT, "identity is not an Ed25519 public key");
    }
    memcpy(ret->address, address.p, address.len);
    memcpy(ret->cloud, cloud.p, cloud.len);
    memcpy(ret->operator_name, operator_name.p, operator_name.len);
    return QR_OK;
}

static qr_err
read_parties(const struct qr_json_at *list, struct qr_roster *r)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        struct qr_roster_party *p = &r->party[i];
        uint64_t index = 0;
        const struct qr_json_field more[] = {
            {"index", QR_JSON_U64, 1, QR_MAX_PARTIES, &index, NULL},
            {.type = QR_JSON_END},
        };
        QR_TRY(qr_roster_read_party(&at, p, more));
        if (index != i + 1) {
            return qr_json_fail(&at, QR_ERR_SET,
                                "index is %llu; parties are listed as 1, 2, 3 and so on",
                                (unsigned long long)index);
        }
        p->index = (uint16_t)index;
        for (size_t k = 0; k < i; k++) {
            if (memcmp(r->party[k].identity, p->identity, 32) == 0) {
                return qr_json_fail(&at, QR_ERR_SET, "same identity as party %zu", k + 1);
            }
            if (strcmp(r->party[k].address, p->address) == 0) {
                return qr_json_fail(&at, QR_ERR_SET, "same address as party %zu", k + 1);
            }
        }
    }
    r->n = qr_json_count(list);
    return QR_OK;
}

static qr_err
read_roster(struct qr_json *j, struct qr_roster *r)
{
    struct qr_json_at root = qr_json_root(j), parties, admins;
    qr_view name;
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"type", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"cluster", QR_JSON_HEX, 0, 32, r->cluster, NULL},
        {"name", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &name, NULL},
        {"serial", QR_JSON_U64, 1, INT64_MAX, &r->serial, NULL},
        {"parties", QR_JSON_ARRAY, 2, QR_MAX_PARTIES, &parties, NULL},
        {"admins", QR_JSON_OBJECT, 0, 0, &admins, NULL},
        {.type = QR_JSON_END},
    };
    QR_TRY(qr_json_head(&root, "quorate/roster"));
    QR_TRY(qr_json_fields(&root, fields));
    memcpy(r->name, name.p, name.len);
    QR_TRY(read_parties(&parties, r));
    return qr_admins_read(&admins, &r->admins);
}

qr_err
qr_roster_parse(qr_view text, struct qr_roster **ret, char *err_text, size_t err_cap)
{
    struct qr_json j;

    if (text.len > QR_DOC_MAX) {
        EXPLAIN("roster has %zu bytes, at most %u are allowed", text.len, QR_DOC_MAX);
        return QR_ERR_TOO_LARGE;
    }
    struct qr_roster *r = qr_alloc(sizeof *r);
    if (!r) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = qr_json_parse(&j, text, ROSTER_VALUES, err_text, err_cap);
    if (e == QR_OK) {
        e = read_roster(&j, r);
        qr_json_clear(&j);
    }
    if (e != QR_OK) {
        qr_roster_free(r);
        return e;
    }
    qr_doc_hash("roster", text, r->hash);
    *ret = r;
    return QR_OK;
}

struct qr_roster *
qr_roster_free(struct qr_roster *r)
{
    if (r) {
        qr_admins_clear(&r->admins);
    }
    return qr_free(r);
}

qr_err
qr_roster_accept(const struct qr_roster *in_force, const struct qr_roster *next, qr_view text,
                 const qr_view *stamps, size_t n_stamps, int *ret_same, char *err_text,
                 size_t err_cap)
{
    int same = 0;

    if (in_force) {
        if (memcmp(in_force->cluster, next->cluster, 32) != 0) {
            EXPLAIN("roster is of another cluster");
            return QR_ERR_CLUSTER;
        }
        QR_TRY(qr_serial_check("roster", in_force->serial, in_force->hash, next->serial, next->hash,
                               &same, err_text, err_cap));
    }
    if (!same) {
        const struct qr_admins *who = in_force ? &in_force->admins : &next->admins;
        QR_TRY(qr_admins_verify(who, text, stamps, n_stamps, err_text, err_cap));
    }
    *ret_same = same;
    return QR_OK;
}

const struct qr_roster_party *
qr_roster_find(const struct qr_roster *r, const uint8_t identity[static 32])
{
    for (size_t i = 0; i < r->n; i++) {
        if (memcmp(r->party[i].identity, identity, 32) == 0) {
            return &r->party[i];
        }
    }
    return NULL;
}
