/*
 * The "types" of a typed-data document: names, members, which type needs which, and their hashes.
 *
 * Bounds: encodeType of a type repeats the texts of all types that it reaches, so types that all reach
 * one long one would make the work quadratic; what is hashed is counted and bounded (TEXT_MAX).
 */
#include "daemon/preimage_712_int.h"

#include "daemon/keccak.h"
#include "protocol/base/mem.h"

/* All encodeType texts of one document together. Real ones have some hundred bytes. */
#define TEXT_MAX (64u * 1024u)

/*
 * Names of members may have a dollar sign, as in Solidity. Names of types may not: widely used readers
 * stop at it when they look for the types that one type needs, and hash something else.
 */
static int
is_identifier(qr_view v, int dollar)
{
    for (size_t i = 0; i < v.len; i++) {
        uint8_t c = v.p[i];
        int letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (dollar && c == '$');
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) {
            return 0;
        }
    }
    return v.len > 0 && v.len <= QR_NAME_MAX;
}

/* Decimal without a leading zero, 1..99999; 0 for anything else. */
static unsigned
small_number(qr_view v)
{
    unsigned n = 0;

    if (v.len == 0 || v.len > 5 || v.p[0] == '0') {
        return 0;
    }
    for (size_t i = 0; i < v.len; i++) {
        if (v.p[i] < '0' || v.p[i] > '9') {
            return 0;
        }
        n = n * 10 + (unsigned)(v.p[i] - '0');
    }
    return n;
}

static int
starts_with(qr_view v, const char *head, qr_view *ret_rest)
{
    size_t n = strlen(head);
    if (v.len < n || memcmp(v.p, head, n) != 0) {
        return 0;
    }
    *ret_rest = qr_view_of(v.p + n, v.len - n);
    return 1;
}

/* 1: built in, *ret is it. -1: looks like one and is none ("uint", "uint7", "bytes33"). 0: neither. */
static int
built_in(qr_view v, struct qr_712_ref *ret)
{
    static const struct {
        const char *name;
        enum qr_712_base base;
    } plain[] = {
        {"bool", QR_712_BOOL},
        {"address", QR_712_ADDRESS},
        {"bytes", QR_712_BYTES},
        {"string", QR_712_STRING},
    };
    qr_view rest;

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (qr_view_eq(v, qr_view_str(plain[i].name))) {
            ret->base = plain[i].base;
            return 1;
        }
    }
    int is_uint = starts_with(v, "uint", &rest), is_int = starts_with(v, "int", &rest);
    int is_bytes = starts_with(v, "bytes", &rest);
    if (!is_uint && !is_int && !is_bytes) {
        return 0;
    }
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.p[i] < '0' || rest.p[i] > '9') {
            return 0; /* a name like "interest" */
        }
    }
    ret->arg = small_number(rest);
    ret->base = is_bytes ? QR_712_FIXED : is_uint ? QR_712_UINT : QR_712_INT;
    if (is_bytes) {
        return ret->arg >= 1 && ret->arg <= 32 ? 1 : -1;
    }
    return ret->arg >= 8 && ret->arg <= 256 && ret->arg % 8 == 0 ? 1 : -1;
}

int
qr_712_type_find(const struct qr_712_types *t, qr_view name)
{
    for (size_t i = 0; i < t->n; i++) {
        if (qr_view_eq(name, qr_view_str(t->type[i].name))) {
            return (int)i;
        }
    }
    return -1;
}

/* "Person[2][]": base Person, dimensions any, then 2. */
static qr_err
read_ref(const struct qr_json_at *at, const struct qr_712_types *t, qr_view text,
         struct qr_712_ref *ret)
{
    char q[QR_QUOTE_MAX];
    qr_view v = text;

    while (v.len > 0 && v.p[v.len - 1] == ']') {
        size_t open = v.len - 1;
        while (open > 0 && v.p[open] != '[') {
            open--;
        }
        qr_view inner = qr_view_of(v.p + open + 1, v.len - open - 2);
        if (ret->n_dims == QR_712_DEPTH) {
            return qr_json_fail(at, QR_ERR_PREIMAGE, "an array of more than %u dimensions",
                                QR_712_DEPTH);
        }
        if (v.p[open] != '[' || (inner.len > 0 && small_number(inner) == 0)) {
            return qr_json_fail(at, QR_ERR_PREIMAGE, "\"%s\" is not a type", qr_quote(q, text));
        }
        ret->dim[ret->n_dims++] = small_number(inner);
        v.len = open;
    }
    int known = built_in(v, ret);
    if (known < 0) {
        return qr_json_fail(at, QR_ERR_PREIMAGE,
                            "\"%s\" is no type of EIP-712 (write uint256 for uint)",
                            qr_quote(q, v));
    }
    if (known > 0) {
        return QR_OK;
    }
    int i = qr_712_type_find(t, v);
    if (i < 0 || i == t->domain) {
        return qr_json_fail(at, QR_ERR_PREIMAGE, "type \"%s\" is not defined", qr_quote(q, v));
    }
    ret->base = QR_712_STRUCT;
    ret->arg = (unsigned)i;
    return QR_OK;
}

static qr_err
read_member(const struct qr_json_at *at, struct qr_712_types *t, struct qr_712_type *type)
{
    struct qr_712_member *m = &t->member[type->first + type->n];
    qr_view name, kind;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"name", QR_JSON_TEXT, 1, QR_NAME_MAX, &name, NULL},
        {"type", QR_JSON_TEXT, 1, 2 * QR_NAME_MAX, &kind, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    if (!is_identifier(name, 1)) {
        return qr_json_fail(at, QR_ERR_PREIMAGE, "\"%s\" cannot be the name of a member",
                            qr_quote(q, name));
    }
    m->name = (const char *)name.p;
    m->type = (const char *)kind.p;
    for (size_t i = 0; i < type->n; i++) {
        if (strcmp(t->member[type->first + i].name, m->name) == 0) {
            return qr_json_fail(at, QR_ERR_PREIMAGE, "member \"%s\" is defined twice", m->name);
        }
    }
    QR_TRY(read_ref(at, t, kind, &m->ref));
    if (m->ref.base == QR_712_STRUCT) {
        type->reach |= UINT64_C(1) << m->ref.arg;
    }
    type->text_len += name.len + kind.len + 2;
    type->n++;
    return QR_OK;
}

static qr_err
read_type(const struct qr_json_at *at, struct qr_712_types *t, size_t i)
{
    struct qr_712_type *type = &t->type[i];
    struct qr_json_at members;
    const struct qr_json_field list = {"", QR_JSON_ARRAY, 1, QR_712_MEMBERS_MAX, &members, NULL};

    QR_TRY(qr_json_value(at, &list));
    type->first = t->n_members;
    type->text_len = strlen(type->name) + 2;
    size_t n = qr_json_count(&members);
    t->n_members += n;
    for (size_t k = 0; k < n; k++) {
        const struct qr_json_at m = qr_json_elem(&members, k);
        QR_TRY(read_member(&m, t, type));
    }
    return QR_OK;
}

/* Who reaches whom, to the end; and nobody may reach itself. */
static qr_err
close_reach(const struct qr_json_at *at, struct qr_712_types *t)
{
    for (size_t via = 0; via < t->n; via++) {
        for (size_t i = 0; i < t->n; i++) {
            if (t->type[i].reach >> via & 1) {
                t->type[i].reach |= t->type[via].reach;
            }
        }
    }
    for (size_t i = 0; i < t->n; i++) {
        if (t->type[i].reach >> i & 1) {
            return qr_json_fail(at, QR_ERR_PREIMAGE, "type \"%s\" contains itself",
                                t->type[i].name);
        }
    }
    return QR_OK;
}

static void
sort_by_name(struct qr_712_types *t)
{
    for (size_t i = 0; i < t->n; i++) {
        size_t k = i;
        for (; k > 0 && strcmp(t->type[t->order[k - 1]].name, t->type[i].name) > 0; k--) {
            t->order[k] = t->order[k - 1];
        }
        t->order[k] = (uint8_t)i;
    }
}

qr_err
qr_712_types_read(const struct qr_json_at *at, struct qr_712_types *ret)
{
    struct qr_json_at each[QR_712_TYPES_MAX];
    struct qr_712_ref unused = {0};
    char q[QR_QUOTE_MAX];
    size_t members = 0;

    size_t n = qr_json_size(at);
    if (n == 0 || n > QR_712_TYPES_MAX) {
        return qr_json_fail(at, QR_ERR_PREIMAGE, "%zu types; 1 to %u are allowed", n,
                            QR_712_TYPES_MAX);
    }
    ret->domain = -1;
    ret->text_left = TEXT_MAX;
    for (size_t i = 0; i < n; i++) {
        each[i] = qr_json_member(at, i);
        qr_view name = qr_view_str(each[i].name);
        if (!is_identifier(name, 0) || built_in(name, &unused) != 0) {
            return qr_json_fail(at, QR_ERR_PREIMAGE, "\"%s\" cannot be the name of a type",
                                qr_quote(q, name));
        }
        ret->type[i].name = each[i].name;
        ret->n++;
        if (qr_view_eq(name, qr_view_str(QR_712_DOMAIN))) {
            ret->domain = (int)i;
        }
        members += qr_json_count(&each[i]); /* 0 for what is no array */
    }
    ret->member = members ? qr_alloc(members * sizeof ret->member[0]) : NULL;
    if (members && !ret->member) {
        return QR_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        QR_TRY(read_type(&each[i], ret, i));
    }
    sort_by_name(ret);
    return close_reach(at, ret);
}

/* "Name(type1 name1,type2 name2)" */
static void
put_type(struct qr_keccak *k, const struct qr_712_types *t, const struct qr_712_type *type)
{
    qr_keccak_put(k, qr_view_str(type->name));
    for (size_t i = 0; i < type->n; i++) {
        const struct qr_712_member *m = &t->member[type->first + i];
        qr_keccak_put(k, qr_view_str(i ? "," : "("));
        qr_keccak_put(k, qr_view_str(m->type));
        qr_keccak_put(k, qr_view_str(" "));
        qr_keccak_put(k, qr_view_str(m->name));
    }
    qr_keccak_put(k, qr_view_str(")"));
}

qr_err
qr_712_type_hash(struct qr_712_types *t, size_t i, const uint8_t **ret)
{
    struct qr_712_type *type = &t->type[i];
    struct qr_keccak k;

    *ret = type->hash;
    if (type->hashed) {
        return QR_OK;
    }
    uint64_t text = type->text_len;
    for (size_t o = 0; o < t->n; o++) {
        text += type->reach >> o & 1 ? t->type[o].text_len : 0;
    }
    if (text > t->text_left) {
        return QR_ERR_PREIMAGE;
    }
    t->text_left -= text;
    qr_keccak_init(&k);
    put_type(&k, t, type);
    for (size_t o = 0; o < t->n; o++) {
        if (type->reach >> t->order[o] & 1) {
            put_type(&k, t, &t->type[t->order[o]]);
        }
    }
    qr_keccak_end(&k, type->hash);
    type->hashed = 1;
    return QR_OK;
}
