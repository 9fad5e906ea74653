/*
 * The values of a typed-data document, hashed in one walk with a stack of our own.
 *
 * A struct is Keccak-256 of its type's hash and its members, an array of its elements, 32 bytes each; so
 * a frame is a running hash, and a value that is done goes into the hash of the frame below.
 */
#include "daemon/preimage_712_int.h"

#include "daemon/keccak.h"
#include "daemon/preimage_eth.h"
#include "protocol/base/mem.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#define VALUES_MAX 4096u
/* Above this, readers that keep numbers in a double read another number. */
#define EXACT_MAX INT64_C(9007199254740991)

struct frame {
    const json_t *v;
    const char *name;            /* of the member it is; NULL: an element */
    size_t index;                /* as an element */
    const struct qr_712_ref *at; /* NULL: the message itself */
    unsigned dims;               /* of `at` that were entered; for arrays */
    int is_array;
    size_t type; /* for structs */
    size_t i, n; /* next child, and how many */
    struct qr_keccak k;
};

struct walk {
    struct qr_712_types types;
    struct frame frame[QR_712_DEPTH];
    size_t depth;
    const char *part; /* "domain" or "message", and the member that is being read: for errors */
    const char *leaf;
    char *why;
    size_t why_cap;
};

/* The way to what is being read, then the sentence. */
static qr_err __attribute__((format(printf, 2, 3)))
refuse(const struct walk *w, const char *format, ...)
{
    char where[160];
    va_list ap;

    size_t len = (size_t)snprintf(where, sizeof where, "%s", w->part);
    for (size_t i = 0; i < w->depth && len < sizeof where; i++) {
        const struct frame *f = &w->frame[i];
        const char *member = i + 1 < w->depth ? w->frame[i + 1].name : w->leaf;
        if (f->is_array) {
            len += (size_t)snprintf(where + len, sizeof where - len, "[%zu]", f->i ? f->i - 1 : 0);
        } else if (member) {
            len += (size_t)snprintf(where + len, sizeof where - len, ".%s", member);
        }
    }
    if (w->depth == 0 && w->leaf) {
        (void)snprintf(where + len, sizeof where - len, ".%s", w->leaf);
    }
    if (w->why && w->why_cap > 0) {
        int n = snprintf(w->why, w->why_cap, "%s: ", where);
        if (n > 0 && (size_t)n < w->why_cap) {
            va_start(ap, format);
            (void)vsnprintf(w->why + n, w->why_cap - (size_t)n, format, ap);
            va_end(ap);
        }
    }
    return QR_ERR_PREIMAGE;
}

/* ---- single values, each to 32 bytes ---- */

static int
nibble(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static qr_view
text_of(const json_t *v)
{
    return json_is_string(v) ? qr_view_of(json_string_value(v), json_string_length(v))
                             : qr_view_of(NULL, 0);
}

/* b = b * base + digit; 0 when that needs more than 256 bits. */
static int
shift_in(uint8_t b[static 32], unsigned base, unsigned digit)
{
    unsigned carry = digit;
    for (size_t i = 32; i > 0; i--) {
        carry += b[i - 1] * base;
        b[i - 1] = (uint8_t)carry;
        carry >>= 8;
    }
    return carry == 0;
}

/* Decimal without a leading zero, or 0x and 1 to 64 digits. */
static int
number_of_text(qr_view v, int *ret_negative, uint8_t ret[static 32])
{
    memset(ret, 0, 32);
    *ret_negative = v.len > 1 && v.p[0] == '-';
    if (v.len > 2 && v.p[0] == '0' && v.p[1] == 'x') {
        int ok = v.len <= 66;
        for (size_t i = 2; ok && i < v.len; i++) {
            int d = nibble(v.p[i]);
            ok = d >= 0 && shift_in(ret, 16, (unsigned)d);
        }
        return ok;
    }
    size_t at = *ret_negative ? 1 : 0;
    if (v.len == at || v.len - at > 78 || (v.p[at] == '0' && (v.len > 1))) {
        return 0;
    }
    for (; at < v.len; at++) {
        if (v.p[at] < '0' || v.p[at] > '9' || !shift_in(ret, 10, (unsigned)(v.p[at] - '0'))) {
            return 0;
        }
    }
    return 1;
}

/* b as a number of at most `bits` bits (8..256, whole bytes), of which the highest is the sign's. */
static int
fits(const uint8_t b[static 32], unsigned bits, int is_signed, int negative)
{
    size_t top = 32 - bits / 8;

    for (size_t i = 0; i < top; i++) {
        if (b[i] != 0) {
            return 0;
        }
    }
    if (!is_signed || b[top] < 0x80) {
        return 1;
    }
    int least = negative && b[top] == 0x80; /* -2^(bits-1) alone */
    for (size_t i = top + 1; i < 32; i++) {
        least &= b[i] == 0;
    }
    return least;
}

static void
negate(uint8_t b[static 32])
{
    unsigned carry = 1;
    for (size_t i = 32; i > 0; i--) {
        carry += (uint8_t)~b[i - 1];
        b[i - 1] = (uint8_t)carry;
        carry >>= 8;
    }
}

static qr_err
read_number(const struct walk *w, const struct qr_712_ref *t, const json_t *v,
            uint8_t ret[static 32])
{
    int negative = 0, is_signed = t->base == QR_712_INT;
    char q[QR_QUOTE_MAX];

    if (json_is_integer(v)) {
        int64_t n = json_integer_value(v);
        if (n > EXACT_MAX || n < -EXACT_MAX) {
            return refuse(w, "write numbers above 2^53-1 as text; readers differ about them");
        }
        negative = n < 0;
        memset(ret, 0, 24);
        qr_put64(ret + 24, (uint64_t)(negative ? -n : n));
    } else if (!json_is_string(v) || !number_of_text(text_of(v), &negative, ret)) {
        return refuse(w, "must be an integer: a JSON number, decimal text, or 0x and hex (\"%s\")",
                      qr_quote(q, text_of(v)));
    }
    if ((negative && !is_signed) || !fits(ret, t->arg, is_signed, negative)) {
        return refuse(w, "does not fit %s%u", is_signed ? "int" : "uint", t->arg);
    }
    if (negative) {
        negate(ret);
    }
    return QR_OK;
}

/* 0x and hex of either case. *ret_digits: what follows 0x. */
static int
hex_of(const json_t *v, qr_view *ret_digits)
{
    qr_view s = text_of(v);

    if (s.len < 2 || s.len % 2 || s.p[0] != '0' || s.p[1] != 'x') {
        return 0;
    }
    for (size_t i = 2; i < s.len; i++) {
        if (nibble(s.p[i]) < 0) {
            return 0;
        }
    }
    *ret_digits = qr_view_of(s.p + 2, s.len - 2);
    return 1;
}

static void
unhex(qr_view digits, uint8_t *out)
{
    for (size_t i = 0; i < digits.len / 2; i++) {
        out[i] = (uint8_t)(nibble(digits.p[2 * i]) << 4 | nibble(digits.p[2 * i + 1]));
    }
}

static qr_err
read_bytes(const struct walk *w, const struct qr_712_ref *t, const json_t *v,
           uint8_t ret[static 32])
{
    uint8_t some[64];
    struct qr_keccak k;
    qr_view digits;

    if (!hex_of(v, &digits)) {
        return refuse(w, "must be text of 0x and an even number of hex digits");
    }
    if (t->base == QR_712_FIXED) {
        if (digits.len != 2 * (size_t)t->arg) {
            return refuse(w, "has %zu bytes; bytes%u has %u", digits.len / 2, t->arg, t->arg);
        }
        memset(ret, 0, 32);
        unhex(digits, ret);
        return QR_OK;
    }
    qr_keccak_init(&k);
    while (digits.len > 0) {
        size_t n = digits.len < 2 * sizeof some ? digits.len : 2 * sizeof some;
        unhex(qr_view_of(digits.p, n), some);
        qr_keccak_put(&k, qr_view_of(some, n / 2));
        digits = qr_view_of(digits.p + n, digits.len - n);
    }
    qr_keccak_end(&k, ret);
    return QR_OK;
}

static qr_err
read_single(const struct walk *w, const struct qr_712_ref *t, const json_t *v,
            uint8_t ret[static 32])
{
    switch (t->base) {
    case QR_712_BOOL:
        if (!json_is_boolean(v)) {
            return refuse(w, "must be true or false");
        }
        memset(ret, 0, 32);
        ret[31] = json_is_true(v);
        return QR_OK;
    case QR_712_ADDRESS:
        memset(ret, 0, 12);
        if (qr_eth_address_read(text_of(v), ret + 12) != QR_OK) {
            return refuse(w, "must be an address: 0x and 40 hex digits, with a right checksum if "
                             "of both cases");
        }
        return QR_OK;
    case QR_712_UINT:
    case QR_712_INT:
        return read_number(w, t, v, ret);
    case QR_712_FIXED:
    case QR_712_BYTES:
        return read_bytes(w, t, v, ret);
    case QR_712_STRING:
        if (!json_is_string(v)) {
            return refuse(w, "must be text");
        }
        qr_keccak256(text_of(v), ret);
        return QR_OK;
    case QR_712_STRUCT:
        break;
    }
    return QR_ERR_INTERNAL;
}

/* ---- the walk ---- */

static qr_err
room(const struct walk *w)
{
    return w->depth < QR_712_DEPTH ? QR_OK
                                   : refuse(w, "nested deeper than %u values", QR_712_DEPTH);
}

/* Some member is in no type: say which. */
static qr_err
unknown_member(const struct walk *w, const struct qr_712_type *type, const json_t *v)
{
    char q[QR_QUOTE_MAX];
    const char *key = NULL;
    json_t *value = NULL;

    /* jansson's iterator wants a pointer to non-const; nothing is changed through it. */
    json_object_foreach ((json_t *)(uintptr_t)v, key, value) {
        size_t i = 0;
        while (i < type->n && strcmp(w->types.member[type->first + i].name, key) != 0) {
            i++;
        }
        if (i == type->n) {
            return refuse(w, "type \"%s\" has no member \"%s\"", type->name,
                          qr_quote(q, qr_view_str(key)));
        }
    }
    return QR_ERR_INTERNAL; /* not reached: there are more members than the type has */
}

static qr_err
enter_struct(struct walk *w, const struct frame *from)
{
    const struct qr_712_type *type = &w->types.type[from->type];
    const uint8_t *hash = NULL;

    QR_TRY(room(w));
    if (!json_is_object(from->v)) {
        return refuse(w, "must be an object (type \"%s\")", type->name);
    }
    if (json_object_size(from->v) > type->n) {
        return unknown_member(w, type, from->v);
    }
    if (qr_712_type_hash(&w->types, from->type, &hash) != QR_OK) {
        return refuse(w, "the types are too long together");
    }
    struct frame *f = &w->frame[w->depth++];
    *f = *from;
    f->n = type->n;
    qr_keccak_init(&f->k);
    qr_keccak_put(&f->k, qr_view_of(hash, 32));
    w->leaf = NULL;
    return QR_OK;
}

static qr_err
enter_array(struct walk *w, const struct frame *from)
{
    uint32_t want = from->at->dim[from->dims - 1];

    QR_TRY(room(w));
    if (!json_is_array(from->v)) {
        return refuse(w, "must be an array");
    }
    size_t n = json_array_size(from->v);
    if (want != 0 && n != want) {
        return refuse(w, "has %zu elements; its type says %u", n, want);
    }
    struct frame *f = &w->frame[w->depth++];
    *f = *from;
    f->n = n;
    qr_keccak_init(&f->k);
    w->leaf = NULL;
    return QR_OK;
}

/* The next child of the uppermost frame: entered, or hashed if it is a single value. */
static qr_err
step(struct walk *w)
{
    struct frame *f = &w->frame[w->depth - 1], next = {0};
    uint8_t word[32];

    if (f->is_array) {
        next.v = json_array_get(f->v, f->i);
        next.at = f->at;
        next.dims = f->dims;
        next.index = f->i++;
    } else {
        const struct qr_712_member *m = &w->types.member[w->types.type[f->type].first + f->i++];
        next.v = json_object_get(f->v, m->name);
        next.at = &m->ref;
        next.name = w->leaf = m->name;
        if (!next.v) {
            return refuse(w, "is missing");
        }
    }
    if (next.dims < next.at->n_dims) {
        next.is_array = 1;
        next.dims++;
        return enter_array(w, &next);
    }
    if (next.at->base == QR_712_STRUCT) {
        next.type = next.at->arg;
        return enter_struct(w, &next);
    }
    QR_TRY(read_single(w, next.at, next.v, word));
    qr_keccak_put(&f->k, qr_view_of(word, sizeof word));
    return QR_OK;
}

static qr_err
hash_message(struct walk *w, size_t type, const json_t *message, uint8_t ret[static 32])
{
    const struct frame first = {.v = message, .type = type};

    w->part = "message";
    w->leaf = NULL;
    QR_TRY(enter_struct(w, &first));
    for (;;) {
        struct frame *f = &w->frame[w->depth - 1];
        if (f->i < f->n) {
            QR_TRY(step(w));
            continue;
        }
        qr_keccak_end(&f->k, ret);
        if (--w->depth == 0) {
            return QR_OK;
        }
        qr_keccak_put(&w->frame[w->depth - 1].k, qr_view_of(ret, 32));
    }
}

/* ---- the domain ---- */

static const struct {
    const char *name, *type;
    struct qr_712_ref ref;
} domain_members[] = {
    {"name", "string", {.base = QR_712_STRING}},
    {"version", "string", {.base = QR_712_STRING}},
    {"chainId", "uint256", {.base = QR_712_UINT, .arg = 256}},
    {"verifyingContract", "address", {.base = QR_712_ADDRESS}},
    {"salt", "bytes32", {.base = QR_712_FIXED, .arg = 32}},
};
#define DOMAIN_MEMBERS (sizeof domain_members / sizeof domain_members[0])

/* What policies and people look at. */
static qr_err
note_domain(const struct walk *w, size_t i, const json_t *v, const uint8_t word[static 32],
            struct qr_712 *ret)
{
    static const uint8_t zeros[24];

    if (i == 0) {
        qr_view s = text_of(v);
        size_t n = s.len < QR_NAME_MAX ? s.len : QR_NAME_MAX;
        for (size_t k = 0; k < n; k++) {
            ret->domain_name[k] = s.p[k] >= 0x20 && s.p[k] < 0x7f ? (char)s.p[k] : '?';
        }
        ret->domain_name[n] = '\0';
    } else if (i == 2) {
        if (memcmp(word, zeros, sizeof zeros) != 0) {
            return refuse(w, "is above 2^64-1");
        }
        ret->has_chain_id = 1;
        ret->chain_id = qr_get64(word + 24);
    } else if (i == 3) {
        ret->has_contract = 1;
        memcpy(ret->contract, word + 12, 20);
    }
    return QR_OK;
}

/* Where the document defines EIP712Domain, it must be what the members give: readers differ else. */
static qr_err
check_domain_type(const struct walk *w, const size_t *present, size_t n)
{
    const struct qr_712_type *type;

    if (w->types.domain < 0) {
        return QR_OK;
    }
    type = &w->types.type[w->types.domain];
    int same = type->n == n;
    for (size_t i = 0; same && i < n; i++) {
        const struct qr_712_member *m = &w->types.member[type->first + i];
        same = strcmp(m->name, domain_members[present[i]].name) == 0 &&
               strcmp(m->type, domain_members[present[i]].type) == 0;
    }
    return same ? QR_OK
                : refuse(w,
                         "type \"%s\" must name exactly its members, in the order and with "
                         "the types of EIP-712",
                         QR_712_DOMAIN);
}

static qr_err
hash_domain(struct walk *w, const json_t *domain, struct qr_712 *ret, uint8_t hash[static 32])
{
    struct qr_keccak type, k;
    uint8_t word[32];
    size_t present[DOMAIN_MEMBERS], n = 0;

    w->part = "domain";
    qr_keccak_init(&type);
    qr_keccak_put(&type, qr_view_str(QR_712_DOMAIN "("));
    for (size_t i = 0; i < DOMAIN_MEMBERS; i++) {
        if (json_object_get(domain, domain_members[i].name)) {
            qr_keccak_put(&type, qr_view_str(n ? "," : ""));
            qr_keccak_put(&type, qr_view_str(domain_members[i].type));
            qr_keccak_put(&type, qr_view_str(" "));
            qr_keccak_put(&type, qr_view_str(domain_members[i].name));
            present[n++] = i;
        }
    }
    if (n == 0 || n != json_object_size(domain)) {
        return refuse(w, "one or more of name, version, chainId, verifyingContract, salt, and "
                         "nothing else");
    }
    QR_TRY(check_domain_type(w, present, n));
    qr_keccak_put(&type, qr_view_str(")"));
    qr_keccak_end(&type, word);
    qr_keccak_init(&k);
    qr_keccak_put(&k, qr_view_of(word, sizeof word));
    for (size_t i = 0; i < n; i++) {
        const char *name = domain_members[present[i]].name;
        const json_t *v = json_object_get(domain, name);
        w->leaf = name;
        QR_TRY(read_single(w, &domain_members[present[i]].ref, v, word));
        QR_TRY(note_domain(w, present[i], v, word, ret));
        qr_keccak_put(&k, qr_view_of(word, sizeof word));
    }
    qr_keccak_end(&k, hash);
    return QR_OK;
}

/* ---- the document ---- */

static qr_err
read_document(struct walk *w, struct qr_json *j, struct qr_712 *ret, uint8_t digest[static 32])
{
    struct qr_json_at root = qr_json_root(j), types, domain, message;
    struct qr_712 found = {0};
    uint8_t hash[2][32];
    struct qr_keccak k;
    qr_view primary;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"types", QR_JSON_OBJECT, 0, 0, &types, NULL},
        {"primaryType", QR_JSON_TEXT, 1, QR_NAME_MAX, &primary, NULL},
        {"domain", QR_JSON_OBJECT, 0, 0, &domain, NULL},
        {"message", QR_JSON_OBJECT, 0, 0, &message, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(&root, fields));
    QR_TRY(qr_712_types_read(&types, &w->types));
    int type = qr_712_type_find(&w->types, primary);
    if (type < 0 || type == w->types.domain) {
        return qr_json_fail(&root, QR_ERR_PREIMAGE, "primaryType: type \"%s\" is not defined",
                            qr_quote(q, primary));
    }
    memcpy(found.primary_type, primary.p, primary.len);
    QR_TRY(hash_domain(w, domain.v, &found, hash[0]));
    QR_TRY(hash_message(w, (size_t)type, message.v, hash[1]));
    qr_keccak_init(&k);
    qr_keccak_put(&k, qr_view_of("\x19\x01", 2));
    qr_keccak_put(&k, qr_view_of(hash, sizeof hash));
    qr_keccak_end(&k, digest);
    *ret = found;
    return QR_OK;
}

qr_err
qr_712_parse(qr_view json, struct qr_712 *ret, uint8_t digest[static 32], char *why, size_t why_cap)
{
    char text[QR_ERR_TEXT_MAX] = "";
    struct qr_json j;
    qr_err e = QR_ERR_PREIMAGE;

    struct walk *w = qr_alloc(sizeof *w);
    if (!w) {
        return QR_ERR_NO_MEMORY;
    }
    w->why = text;
    w->why_cap = sizeof text;
    if (json.len > QR_PREIMAGE_MAX) {
        (void)snprintf(text, sizeof text, "%zu bytes, at most %u are allowed", json.len,
                       QR_PREIMAGE_MAX);
    } else {
        e = qr_json_parse_deep(&j, json, VALUES_MAX, QR_712_DEPTH + 1, text, sizeof text);
        if (e == QR_OK) {
            e = read_document(w, &j, ret, digest);
            qr_json_clear(&j);
        }
    }
    qr_free(w->types.member);
    qr_free(w);
    if (e != QR_OK && why && why_cap > 0) {
        (void)snprintf(why, why_cap, "typed data: %s", text);
    }
    return e == QR_OK || e == QR_ERR_NO_MEMORY ? e : QR_ERR_PREIMAGE;
}
