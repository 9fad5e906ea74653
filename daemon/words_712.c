/*
 * Words of typed data: every value of its domain and of its message, a line each, in the order of the
 * document, with the way to it in front.
 *
 * The document has been read strictly before (preimage_712.h): it is valid JSON, every member is named
 * by a type, and no name stands twice. So a walk over its tokens shows all there is, and shows numbers
 * as they were written. No recursion: the open brackets are a stack, and their names one text.
 */
#include "daemon/words_int.h"

#include <stdio.h>

#define DEPTH_MAX 64u
#define WAY_MAX 1024u

struct walk {
    qr_view text;
    size_t at;
    struct {
        int array;
        size_t index, way_len; /* of way, before this level's own part */
    } level[DEPTH_MAX];
    size_t depth;
    char way[WAY_MAX]; /* "message.to[2].name" */
    size_t way_len;
    int broken; /* deeper or longer than we show, or no JSON after all */
};

static uint8_t
next(struct walk *k)
{
    while (k->at < k->text.len && (k->text.p[k->at] == ' ' || k->text.p[k->at] == '\t' ||
                                   k->text.p[k->at] == '\n' || k->text.p[k->at] == '\r')) {
        k->at++;
    }
    if (k->at >= k->text.len) {
        k->broken = 1;
        return 0;
    }
    return k->text.p[k->at];
}

/* The four hex digits at p; case does not matter in JSON. What is no digit counts as nothing. */
static uint32_t
hex4(const uint8_t *p)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        int letter = (p[i] >= 'A' && p[i] <= 'F');
        const char *d = memchr(digits, letter ? p[i] - 'A' + 'a' : p[i], 16);
        v = v << 4 | (uint32_t)(d ? d - digits : 0);
    }
    return v;
}

static size_t
utf8_put(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1;) {
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (uint8_t)((0xf00u >> n) | c);
    return n;
}

/*
 * The string at the cursor, which stands on its quote; its characters go to out as far as they fit, and
 * *ret_len says how many bytes there are in all.
 */
static void
take_string(struct walk *k, uint8_t *out, size_t cap, size_t *ret_len)
{
    const uint8_t *p = k->text.p;
    size_t n = 0;

    for (k->at++; k->at < k->text.len && p[k->at] != '"';) {
        uint8_t c[4] = {p[k->at]};
        size_t len = 1;
        if (p[k->at] != '\\') {
            k->at++;
        } else if (k->at + 6 <= k->text.len && p[k->at + 1] == 'u') {
            uint32_t u = hex4(p + k->at + 2);
            k->at += 6;
            if (u >= 0xd800 && u < 0xdc00 && k->at + 6 <= k->text.len && p[k->at] == '\\') {
                u = 0x10000 + ((u - 0xd800) << 10) + (hex4(p + k->at + 2) & 0x3ff);
                k->at += 6;
            }
            len = utf8_put(u & 0x1fffff, c);
        } else {
            static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
            uint8_t e = k->at + 1 < k->text.len ? p[k->at + 1] : 0;
            const char *f = e ? memchr(from, e, sizeof from - 1) : NULL;
            c[0] = f ? (uint8_t)to[f - from] : e;
            k->at += 2;
        }
        for (size_t i = 0; i < len; i++, n++) {
            if (n < cap) {
                out[n] = c[i];
            }
        }
    }
    k->broken |= k->at >= k->text.len;
    k->at++;
    *ret_len = n;
}

static void
way_add(struct walk *k, const char *s)
{
    size_t n = strlen(s);
    if (n >= sizeof k->way - k->way_len) {
        k->broken = 1;
        return;
    }
    memcpy(k->way + k->way_len, s, n + 1);
    k->way_len += n;
}

/* A member's name, the cursor on its quote: behind the way of its object. */
static void
take_name(struct walk *k)
{
    uint8_t name[256];
    size_t n = 0;
    char t[16];

    take_string(k, name, sizeof name, &n);
    k->broken |= n > sizeof name;
    k->way_len = k->level[k->depth - 1].way_len;
    way_add(k, k->way_len ? "." : "");
    for (size_t i = 0; i < n && i < sizeof name; i++) {
        uint8_t c = name[i];
        int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '$';
        (void)snprintf(t, sizeof t, plain ? "%c" : "\\x{%x}", c);
        way_add(k, t);
    }
    if (next(k) == ':') {
        k->at++;
    } else {
        k->broken = 1;
    }
}

static void
take_index(struct walk *k)
{
    char t[24];
    k->way_len = k->level[k->depth - 1].way_len;
    (void)snprintf(t, sizeof t, "[%zu]", k->level[k->depth - 1].index);
    way_add(k, t);
}

/* Of what numbers, true, false and null are made. */
static int
is_plain(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '+' || c == '-' ||
           c == '.';
}

static void
put_leaf(struct qr_words *w, struct walk *k)
{
    uint8_t text[QR_WORDS_TEXT_MAX];
    size_t n = 0;

    qr_words_label(w, k->way);
    if (next(k) == '"') {
        take_string(k, text, sizeof text, &n);
        qr_words_quoted(w, qr_view_of(text, n < sizeof text ? n : sizeof text), n);
    } else {
        size_t from = k->at;
        while (k->at < k->text.len && is_plain(k->text.p[k->at])) {
            k->at++;
        }
        n = k->at - from;
        k->broken |= n == 0 || n > 128;
        qr_words_printf(w, "%.*s", n <= 128 ? (int)n : 0, (const char *)k->text.p + from);
    }
    qr_words_put(w, "\n");
}

/* Moves behind the value at the cursor and shows nothing of it. */
static void
pass_value(struct walk *k)
{
    uint8_t none[1];
    size_t open = 0, n = 0;

    do {
        uint8_t c = next(k);
        if (c == '"') {
            take_string(k, none, 0, &n);
        } else {
            open += c == '{' || c == '[';
            open -= open > 0 && (c == '}' || c == ']');
            k->at++;
        }
    } while (!k->broken && (open > 0 || (next(k) != ',' && next(k) != '}')));
}

/* Opens the bracket at the cursor; an empty one is a line of its own. */
static void
open_bracket(struct qr_words *w, struct walk *k, int array)
{
    k->at++;
    if (next(k) == (array ? ']' : '}')) {
        k->at++;
        qr_words_line(w, k->way_len ? k->way : "value", "%s", array ? "[]" : "{}");
        return;
    }
    if (k->depth == DEPTH_MAX) {
        k->broken = 1;
        return;
    }
    k->level[k->depth].array = array;
    k->level[k->depth].index = 0;
    k->level[k->depth].way_len = k->way_len;
    k->depth++;
}

/*
 * Walks one value, whose way is in k->way: leaves become lines. Ends behind it.
 */
static void
walk_value(struct qr_words *w, struct walk *k)
{
    size_t bottom = k->depth;

    for (int fresh = 1; !k->broken && w->err == QR_OK;) {
        if (fresh) {
            size_t was = k->depth;
            uint8_t c = next(k);
            if (c == '{' || c == '[') {
                open_bracket(w, k, c == '[');
            } else {
                put_leaf(w, k);
            }
            fresh = k->depth > was;
        } else if (k->depth == bottom) {
            return;
        } else {
            uint8_t c = next(k);
            k->at++;
            if (c == ',') {
                k->level[k->depth - 1].index++;
                fresh = 1;
            } else {
                k->broken |= c != ']' && c != '}';
                k->depth--;
            }
        }
        if (fresh && k->depth > bottom && !k->broken) {
            if (k->level[k->depth - 1].array) {
                take_index(k);
            } else {
                k->broken |= next(k) != '"';
                if (!k->broken) {
                    take_name(k);
                }
            }
        }
    }
}

/* Lines of one member of the document's root. */
static void
put_member(struct qr_words *w, qr_view json, const char *wanted)
{
    struct walk k = {.text = json, .depth = 1};
    int found = 0;

    k.broken |= next(&k) != '{';
    k.at++;
    while (!k.broken && !found && next(&k) == '"') {
        take_name(&k);
        found = strcmp(k.way, wanted) == 0;
        if (found) {
            walk_value(w, &k);
        } else if (!k.broken) {
            pass_value(&k);
            k.at += next(&k) == ',';
        }
    }
    if (k.broken && w->err == QR_OK) {
        w->err = QR_ERR_TOO_LARGE;
    }
}

void
qr_words_712(struct qr_words *w, const struct qr_request_item *item)
{
    const struct qr_712 *t = &item->typed;

    qr_words_label(w, "chain");
    if (t->has_chain_id) {
        qr_words_chain(w, t->chain_id);
    } else {
        qr_words_put(w, "ANY: the domain names none");
    }
    qr_words_put(w, "\n");
    qr_words_label(w, "contract");
    if (t->has_contract) {
        qr_words_eth_address(w, t->contract);
    } else {
        qr_words_put(w, "ANY: the domain names none");
    }
    qr_words_put(w, "\n");
    put_member(w, item->preimage, "primaryType");
    put_member(w, item->preimage, "domain");
    put_member(w, item->preimage, "message");
}
