/*
 * qr_json: strict reading of the JSON documents that people and clients sign.
 *
 * What: a wrapper of jansson that accepts less, and a table-driven reader of objects. Refused:
 *       duplicate members, members the reader's table does not list, nesting deeper than
 *       QR_JSON_DEPTH, more values than the caller's limit, NUL (also as \u0000), invalid UTF-8,
 *       a BOM, anything after the document, numbers that are not integers of 0..2^63-1, hex that is
 *       not lower case, text outside the field's character set.
 * Why: the bytes are what is signed, so two parsers must not be able to read two meanings out of
 *      them; and what a stranger sends is bounded before jansson allocates for it.
 * Errors name the member: `requests.rules[2].kinds[0]: unknown kind "foo"`. Hostile text in a
 *      message is shortened and stripped of everything that is not printable ASCII.
 * Thread rules: a document belongs to one thread; different documents are independent.
 */
#ifndef QR_JSON_STRICT_H
#define QR_JSON_STRICT_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

struct json_t; /* jansson's */

#define QR_JSON_DEPTH 8u     /* open brackets at any point */
#define QR_JSON_NAME_MAX 64u /* longest member name, bytes */
#define QR_ERR_TEXT_MAX 256u /* a good size for the err_text buffers of this product */

/* Where a member or element was found last: lines are asked for from top to bottom. */
struct qr_json_found {
    const struct json_t *in;
    size_t index, at, line;
};

/* A parsed document. It and its text must stay in place while positions point into it. */
struct qr_json {
    struct json_t *root;
    char *err_text; /* where errors of this document are explained */
    size_t err_cap;
    qr_view text;
    int lines; /* 1: errors of members begin with "line N: "; set by whoever wants it */
    struct qr_json_found found[QR_JSON_DEPTH];
};

/*
 * Parses `text`, which must hold at most max_values values (members and elements count one each).
 * err_text (err_cap bytes, may be NULL with 0) receives the explanation of this and of every later
 * error with the document; it must outlive it. Errors: MALFORMED, TOO_LARGE (values, depth),
 * NO_MEMORY. On success the caller calls qr_json_clear.
 */
qr_err QR_MUST qr_json_parse(struct qr_json *ret, qr_view text, size_t max_values, char *err_text,
                             size_t err_cap);
/*
 * The same for documents of other makers (tokens, key sets, vendors' collateral), whose numbers may be
 * negative or real, and with an error of its own for a member that stands twice: DUPLICATE.
 */
qr_err QR_MUST qr_json_parse_foreign(struct qr_json *ret, qr_view text, size_t max_values,
                                     char *err_text, size_t err_cap);
/*
 * As qr_json_parse_foreign, with at most max_depth (<= 32) open brackets: for documents whose values are
 * nested as their makers please and that are walked without qr_json_line.
 */
qr_err QR_MUST qr_json_parse_deep(struct qr_json *ret, qr_view text, size_t max_values,
                                  size_t max_depth, char *err_text, size_t err_cap);
/* Takes a zeroed or cleared document, too. */
void qr_json_clear(struct qr_json *j);

/* A value and the way to it; the chain of `up` lives on the caller's stack. */
struct qr_json_at {
    struct qr_json *doc;
    const struct json_t *v;
    const struct qr_json_at *up;
    const char *name; /* NULL: element `index` of an array, or the root */
    size_t index;
};

struct qr_json_at qr_json_root(struct qr_json *j);

/* Types of a field, and what `ret`, `min` and `max` are. */
enum qr_json_type {
    QR_JSON_SKIP,   /* allowed and not read; ret NULL */
    QR_JSON_U64,    /* uint64_t *; value */
    QR_JSON_BOOL,   /* int * */
    QR_JSON_HEX,    /* uint8_t[max]; exactly max bytes (min is not used) */
    QR_JSON_NAME,   /* qr_view *, [A-Za-z0-9._-]; length in bytes */
    QR_JSON_ID,     /* qr_view *, [A-Za-z0-9_-]; length in bytes */
    QR_JSON_TEXT,   /* qr_view *, printable ASCII; length in bytes */
    QR_JSON_UTF8,   /* qr_view *, any text; length in bytes */
    QR_JSON_OBJECT, /* struct qr_json_at * */
    QR_JSON_ARRAY,  /* struct qr_json_at *; number of elements */
    QR_JSON_END,
};

/* Views point into the document and are NUL-terminated there. */
struct qr_json_field {
    const char *name;
    enum qr_json_type type;
    uint64_t min, max;
    void *ret;
    int *ret_present; /* NULL: the member is required; else set to 1 or 0 */
};

/*
 * Reads an object by a table that ends with {.type = QR_JSON_END}. Every required member must be
 * there, no other may be. ret of absent optional members is untouched. Errors: MALFORMED,
 * UNKNOWN_FIELD, TOO_LARGE (a text, array or number above max).
 */
qr_err QR_MUST qr_json_fields(const struct qr_json_at *at, const struct qr_json_field *fields);

/*
 * "v" must be 1 (QR_ERR_VERSION) and "type" this text (QR_ERR_MALFORMED, saying what the document
 * is instead); type NULL: not looked at. Call before qr_json_fields, so that a document of a later
 * version is called that, and list both members there as QR_JSON_SKIP.
 */
qr_err QR_MUST qr_json_head(const struct qr_json_at *at, const char *type);

/* Elements of an array that qr_json_fields returned. */
size_t qr_json_count(const struct qr_json_at *array);
struct qr_json_at qr_json_elem(const struct qr_json_at *array, size_t i);
/* The element itself as if it were a field's value (name, min, max, type, ret of f are used). */
qr_err QR_MUST qr_json_value(const struct qr_json_at *at, const struct qr_json_field *f);

/* Members of an object, in the document's order, for objects whose names are data. i < size. */
size_t qr_json_size(const struct qr_json_at *object);
struct qr_json_at qr_json_member(const struct qr_json_at *object, size_t i);

/*
 * The line, from 1, on which the value stands (its member's name, when it has one). All lines of a
 * document asked for in its order cost about one pass over the text together.
 */
unsigned qr_json_line(const struct qr_json_at *at);

/* Explains an error at a place ("a.b[2]: " + message) and returns e. */
qr_err qr_json_fail(const struct qr_json_at *at, qr_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Hostile text for a message: at most 40 bytes of it, printable ASCII, others as '?', "..." when
 * shortened. Returns out.
 */
#define QR_QUOTE_MAX 44u
const char *qr_quote(char out[static QR_QUOTE_MAX], qr_view v);

#endif
