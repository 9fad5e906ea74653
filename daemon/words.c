/* The frame of a request's words, and the forms that all kinds share. */
#include "daemon/words_int.h"

#include "daemon/keccak.h"
#include "protocol/base/check.h"
#include "protocol/base/enc.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* Times above the year 9999 are shown as numbers. */
#define LAST_MS UINT64_C(253402300799999)

void
qr_words_put(struct qr_words *w, const char *s)
{
    if (w->err == QR_OK) {
        w->err = qr_dbuf_append(w->out, s, strlen(s));
    }
}

static void __attribute__((format(printf, 2, 0)))
put_va(struct qr_words *w, const char *format, va_list ap)
{
    char t[512];
    int n = vsnprintf(t, sizeof t, format, ap);
    QR_ASSERT(n >= 0 && (size_t)n < sizeof t);
    qr_words_put(w, t);
}

void
qr_words_printf(struct qr_words *w, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    put_va(w, format, ap);
    va_end(ap);
}

void
qr_words_label(struct qr_words *w, const char *label)
{
    qr_words_put(w, label);
    qr_words_put(w, ": ");
}

void
qr_words_line(struct qr_words *w, const char *label, const char *format, ...)
{
    va_list ap;
    qr_words_label(w, label);
    va_start(ap, format);
    put_va(w, format, ap);
    va_end(ap);
    qr_words_put(w, "\n");
}

/* ---- text and bytes ---- */

/* The character at p and its length; length 0: no UTF-8 here (overlong, a surrogate, cut off). */
static size_t
utf8_at(const uint8_t *p, size_t n, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (len == 0 || len > n || p[0] > 0xf4) {
        return 0;
    }
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        return 0;
    }
    *ret = c;
    return len;
}

static void
put_escaped(struct qr_words *w, qr_view v)
{
    char t[16];

    for (size_t i = 0; i < v.len;) {
        uint32_t c = 0;
        size_t n = utf8_at(v.p + i, v.len - i, &c);
        if (n == 0) {
            (void)snprintf(t, sizeof t, "\\x{%x}", (unsigned)v.p[i]);
        } else if (c == '"' || c == '\\') {
            (void)snprintf(t, sizeof t, "\\%c", (char)c);
        } else if (c >= 0x20 && c < 0x7f) {
            (void)snprintf(t, sizeof t, "%c", (char)c);
        } else {
            (void)snprintf(t, sizeof t, "\\u{%x}", (unsigned)c);
        }
        qr_words_put(w, t);
        i += n ? n : 1;
    }
}

void
qr_words_quoted(struct qr_words *w, qr_view v, size_t whole)
{
    size_t n = v.len < QR_WORDS_TEXT_MAX ? v.len : QR_WORDS_TEXT_MAX;

    qr_words_put(w, "\"");
    put_escaped(w, qr_view_of(v.p, n));
    qr_words_put(w, "\"");
    if (n < whole) {
        qr_words_printf(w, " CUT: %zu of %zu bytes are shown", n, whole);
    }
}

/* UTF-8 without control characters but those that lines are made of. */
static int
is_text(qr_view v)
{
    for (size_t i = 0; i < v.len;) {
        uint32_t c = 0;
        size_t n = utf8_at(v.p + i, v.len - i, &c);
        if (n == 0 || (c < 0x20 && c != '\n' && c != '\r' && c != '\t') ||
            (c >= 0x7f && c < 0xa0)) {
            return 0;
        }
        i += n;
    }
    return 1;
}

static void
put_hex(struct qr_words *w, qr_view v)
{
    char hex[2 * QR_WORDS_HEX_MAX + 1];
    size_t n = v.len < QR_WORDS_HEX_MAX ? v.len : QR_WORDS_HEX_MAX;

    qr_hex_encode(qr_view_of(v.p, n), hex);
    qr_words_put(w, "0x");
    qr_words_put(w, hex);
    if (n < v.len) {
        qr_words_printf(w, " CUT: %zu of %zu bytes are shown", n, v.len);
    }
}

void
qr_words_hex(struct qr_words *w, qr_view v)
{
    qr_words_printf(w, "%zu bytes: ", v.len);
    put_hex(w, v);
}

void
qr_words_bytes(struct qr_words *w, qr_view v)
{
    size_t n = v.len < QR_WORDS_TEXT_MAX ? v.len : QR_WORDS_TEXT_MAX;

    if (!is_text(v)) {
        qr_words_label(w, "bytes");
        qr_words_hex(w, v);
        qr_words_put(w, "\n");
        return;
    }
    if (n < v.len) {
        qr_words_line(w, "CUT", "%zu of %zu bytes are shown", n, v.len);
    } else {
        qr_words_line(w, "length", "%zu bytes", n);
    }
    for (size_t from = 0; from <= n;) {
        const uint8_t *nl = from < n ? memchr(v.p + from, '\n', n - from) : NULL;
        size_t to = nl ? (size_t)(nl - v.p) : n;
        qr_words_label(w, "text");
        qr_words_quoted(w, qr_view_of(v.p + from, to - from), to - from);
        qr_words_put(w, "\n");
        from = to + 1;
    }
}

/* ---- numbers and addresses ---- */

void
qr_words_decimal(struct qr_words *w, const uint8_t *be, size_t n, unsigned decimals)
{
    uint8_t left[40];
    char digits[128];
    size_t at = sizeof digits, count = 0;
    int more = 1;

    QR_ASSERT(n <= sizeof left && decimals <= 18);
    memcpy(left, be, n);
    digits[--at] = 0;
    while (more || count <= decimals) {
        unsigned rest = 0;
        more = 0;
        for (size_t i = 0; i < n; i++) {
            rest = rest << 8 | left[i];
            left[i] = (uint8_t)(rest / 10);
            rest %= 10;
            more |= left[i] != 0;
        }
        if (decimals > 0 && count == decimals) {
            digits[--at] = '.';
        }
        digits[--at] = (char)('0' + rest);
        count++;
    }
    /* zeros at the end of a fraction say nothing */
    size_t end = sizeof digits - 1;
    while (decimals > 0 && digits[end - 1] == '0') {
        end--;
    }
    if (decimals > 0 && digits[end - 1] == '.') {
        end--;
    }
    digits[end] = 0;
    qr_words_put(w, digits + at);
}

void
qr_words_eth_address(struct qr_words *w, const uint8_t a[static 20])
{
    char hex[41];
    uint8_t h[32];

    /* EIP-55: upper case where the hash of the lower-case text has a high digit */
    qr_hex_encode(qr_view_of(a, 20), hex);
    qr_keccak256(qr_view_of(hex, 40), h);
    for (size_t i = 0; i < 40; i++) {
        unsigned digit = i % 2 ? h[i / 2] & 15u : h[i / 2] >> 4;
        if (hex[i] >= 'a' && digit >= 8) {
            hex[i] = (char)(hex[i] - 'a' + 'A');
        }
    }
    qr_words_printf(w, "0x%s", hex);
}

/* ---- a request ---- */

static void
put_time(struct qr_words *w, const char *label, uint64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;

    if (ms > LAST_MS || !gmtime_r(&s, &tm)) {
        qr_words_line(w, label, "%llu ms after 1970", (unsigned long long)ms);
        return;
    }
    qr_words_line(w, label, "%04d-%02d-%02d %02d:%02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1,
                  tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static const char *const titles[QR_KIND_COUNT] = {
    [QR_KIND_ETH_TX] = "Ethereum transaction",
    [QR_KIND_EIP191] = "Ethereum signed message",
    [QR_KIND_EIP712] = "Ethereum typed data",
    [QR_KIND_BTC_LEGACY] = "Bitcoin transaction",
    [QR_KIND_BTC_BIP143] = "Bitcoin transaction",
    [QR_KIND_KECCAK256] = "bytes, signed through Keccak-256",
    [QR_KIND_SHA256] = "bytes, signed through SHA-256",
    [QR_KIND_SHA256D] = "bytes, signed through SHA-256 twice",
    [QR_KIND_DIGEST] = "32 bytes that nobody can read",
};

static void
put_item(struct qr_words *w, const struct qr_request *q, size_t i)
{
    const struct qr_request_item *item = &q->items[i];
    char hex[65];

    qr_words_printf(w, "item %zu of %zu: %s (%s)\n", i + 1, q->n_items, titles[item->kind],
                    qr_kind_name(item->kind));
    switch (item->kind) {
    case QR_KIND_ETH_TX:
        qr_words_eth_tx(w, &item->eth);
        break;
    case QR_KIND_EIP712:
        qr_words_712(w, item);
        break;
    case QR_KIND_BTC_LEGACY:
    case QR_KIND_BTC_BIP143:
        qr_words_btc(w, &item->btc, item->btc.first < i ? item->btc.first + 1u : 0);
        break;
    case QR_KIND_EIP191:
    case QR_KIND_KECCAK256:
    case QR_KIND_SHA256:
    case QR_KIND_SHA256D:
        qr_words_bytes(w, item->preimage);
        break;
    case QR_KIND_DIGEST:
        qr_hex_encode(qr_view_of(item->digest, 32), hex);
        qr_words_line(w, "digest", "%s", hex);
        qr_words_line(w, "WARNING", "what these bytes stand for cannot be seen here");
        break;
    case QR_KIND_COUNT:
        break;
    }
}

static void
put_path(struct qr_words *w, const struct qr_request *q)
{
    if (q->depth == 0) {
        return;
    }
    qr_words_label(w, "path");
    for (size_t i = 0; i < q->depth; i++) {
        qr_words_printf(w, "%s%u", i ? "/" : "", q->path[i]);
    }
    qr_words_put(w, "\n");
}

qr_err
qr_words(const struct qr_request *q, const char *client, struct qr_dbuf *out)
{
    struct qr_words w = {.out = out};
    char hex[67];

    for (size_t i = 0; i < q->n_items; i++) {
        put_item(&w, q, i);
    }
    if (q->by_address) {
        qr_words_label(&w, "key");
        qr_words_put(&w, "the one of Ethereum address ");
        qr_words_eth_address(&w, q->address);
        qr_words_put(&w, "\n");
    } else {
        qr_hex_encode(qr_view_of(q->key, 33), hex);
        qr_words_line(&w, "key", "%s", hex);
    }
    put_path(&w, q);
    qr_words_line(&w, "asked by", "%s", client ? client : "not known (no stamp was checked)");
    put_time(&w, "issued", q->window.issued_ms);
    put_time(&w, "until", q->window.expires_ms);
    qr_words_line(&w, "id", "%s", q->id);
    qr_hex_encode(qr_view_of(q->cluster, q->cluster_len), hex);
    qr_words_line(&w, "cluster", "%s", hex);
    qr_hex_encode(qr_view_of(q->hash, 32), hex);
    qr_words_line(&w, "request", "%s", hex);
    return w.err;
}
