#include "daemon/jsonw.h"

#include "protocol/base/enc.h"

#include <stdio.h>

struct qr_jsonw
qr_jsonw_to(struct qr_dbuf *d)
{
    return (struct qr_jsonw){.d = d, .err = QR_OK};
}

static void
put(struct qr_jsonw *w, const void *p, size_t n)
{
    if (w->err == QR_OK) {
        w->err = qr_dbuf_append(w->d, p, n);
    }
}

void
qr_jsonw_raw(struct qr_jsonw *w, const char *s)
{
    put(w, s, strlen(s));
}

/* Length of the UTF-8 character at p, 0 if it is not one (overlong, surrogate, cut off). */
static size_t
utf8_len(const uint8_t *p, size_t n)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len > n) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return len;
}

size_t
qr_json_escape(qr_view v, size_t i, char out[static 8], size_t *ret_n)
{
    const uint8_t *p = v.p + i;
    size_t n = utf8_len(p, v.len - i);

    if (p[0] == '"' || p[0] == '\\') {
        out[0] = '\\';
        out[1] = (char)p[0];
        *ret_n = 2;
    } else if (p[0] == '\n') {
        memcpy(out, "\\n", 2);
        *ret_n = 2;
    } else if (p[0] < 0x20 || p[0] == 0x7f) {
        *ret_n = (size_t)snprintf(out, 8, "\\u%04x", (unsigned)p[0]);
    } else if (n == 0) {
        memcpy(out, "\xef\xbf\xbd", 3);
        *ret_n = 3;
    } else if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) {
        *ret_n = (size_t)snprintf(out, 8, "\\u%04x", (unsigned)p[1]); /* C1 control */
    } else {
        memcpy(out, p, n);
        *ret_n = n;
    }
    return n ? n : 1;
}

void
qr_jsonw_str(struct qr_jsonw *w, qr_view v)
{
    char t[8];
    size_t n;

    put(w, "\"", 1);
    for (size_t i = 0; i < v.len;) {
        i += qr_json_escape(v, i, t, &n);
        put(w, t, n);
    }
    put(w, "\"", 1);
}

void
qr_jsonw_hex(struct qr_jsonw *w, const void *p, size_t n)
{
    put(w, "\"", 1);
    if (w->err == QR_OK && n > SIZE_MAX / 4) {
        w->err = QR_ERR_TOO_LARGE;
    }
    if (w->err == QR_OK) {
        w->err = qr_dbuf_reserve(w->d, 2 * n + 1); /* the encoder adds a NUL */
    }
    if (w->err == QR_OK) {
        qr_hex_encode(qr_view_of(p, n), (char *)w->d->p + w->d->len);
        w->d->len += 2 * n;
    }
    put(w, "\"", 1);
}

void
qr_jsonw_u64(struct qr_jsonw *w, uint64_t v)
{
    char t[24];
    put(w, t, (size_t)snprintf(t, sizeof t, "%llu", (unsigned long long)v));
}

void
qr_jsonw_bool(struct qr_jsonw *w, int v)
{
    qr_jsonw_raw(w, v ? "true" : "false");
}
