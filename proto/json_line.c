/*
 * Lines of values: a walk over text that the parser has taken, so that brackets and quotes match.
 * Two facts make it short: members keep the document's order in jansson's objects, and there are
 * no duplicates. What was found last at each depth is where the next search begins.
 */
#include "proto/json_strict.h"

#include "protocol/base/check.h"

#include <jansson.h>

struct walk {
    qr_view text;
    size_t at, line;
};

static int
left(const struct walk *w)
{
    return w->at < w->text.len;
}

static void
step(struct walk *w)
{
    w->line += w->text.p[w->at] == '\n';
    w->at++;
}

/* Blanks, commas and colons. */
static void
skip_between(struct walk *w)
{
    while (left(w)) {
        uint8_t c = w->text.p[w->at];
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != ',' && c != ':') {
            return;
        }
        step(w);
    }
}

static void
skip_string(struct walk *w)
{
    for (w->at++; left(w) && w->text.p[w->at] != '"'; w->at++) {
        w->at += w->text.p[w->at] == '\\';
    }
    w->at++;
}

/* A string, a number, a word, or everything up to the bracket that closes. */
static void
skip_value(struct walk *w)
{
    size_t depth = 0;

    while (left(w)) {
        uint8_t c = w->text.p[w->at];
        if (c == '"') {
            skip_string(w);
        } else if (c == '[' || c == '{') {
            depth++;
            w->at++;
        } else if (c == ']' || c == '}') {
            if (depth == 0) {
                return; /* of the container; a word or number ended here */
            }
            depth--;
            w->at++;
        } else if (depth == 0 && c != '-' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z')) {
            return;
        } else {
            step(w);
            continue;
        }
        if (depth == 0) {
            return;
        }
    }
}

/* Which child of its container a position is. */
static size_t
index_in(const struct qr_json_at *at)
{
    if (!at->name) {
        return at->index;
    }
    const char *key = NULL;
    json_t *value = NULL;
    size_t i = 0;
    json_object_foreach ((json_t *)(uintptr_t)at->up->v, key, value) {
        if (strcmp(key, at->name) == 0) {
            break; /* by name: true, false and null are one object each */
        }
        i++;
    }
    return i;
}

/* From a container's opening bracket to its child's first byte (the name's, in an object). */
static void
enter(struct walk *w, const struct qr_json_at *child, struct qr_json_found *f)
{
    size_t want = index_in(child), i = 0;

    if (f->in == child->up->v && f->index <= want) {
        w->at = f->at;
        w->line = f->line;
        i = f->index;
    } else {
        w->at++;
        skip_between(w);
    }
    for (; i < want; i++) {
        if (child->name) {
            skip_string(w);
            skip_between(w);
        }
        skip_value(w);
        skip_between(w);
    }
    *f = (struct qr_json_found){child->up->v, want, w->at, w->line};
}

unsigned
qr_json_line(const struct qr_json_at *at)
{
    const struct qr_json_at *chain[QR_JSON_DEPTH + 1];
    struct qr_json *j = at->doc;
    struct walk w = {j->text, 0, 1};
    size_t n = 0;

    for (const struct qr_json_at *a = at; a->up; a = a->up) {
        QR_ASSERT(n < QR_JSON_DEPTH);
        chain[n++] = a;
    }
    if (!j->text.p) {
        return 0;
    }
    skip_between(&w);
    for (size_t depth = 0; n > 0; depth++) {
        const struct qr_json_at *child = chain[--n];
        enter(&w, child, &j->found[depth]);
        if (child->name && n > 0) {
            skip_string(&w);
            skip_between(&w);
        }
    }
    return (unsigned)w.line;
}
