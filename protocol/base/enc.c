/*
 * Strict text encodings. Decoders build the value, then demand that nothing is left over that a
 * second text could express: that is what makes decoding injective.
 */
#include "protocol/base/enc.h"

static const char hex_digits[] = "0123456789abcdef";
static const char b64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
qr_hex_encode(qr_view v, char *out)
{
    for (size_t i = 0; i < v.len; i++) {
        out[2 * i] = hex_digits[v.p[i] >> 4];
        out[2 * i + 1] = hex_digits[v.p[i] & 15];
    }
    out[2 * v.len] = '\0';
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

qr_err
qr_hex_decode(const char *text, size_t text_len, uint8_t *out, size_t out_len)
{
    if (text_len % 2 != 0 || text_len / 2 != out_len) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; i < text_len; i++) {
        if (hex_value(text[i]) < 0) {
            return QR_ERR_MALFORMED;
        }
    }
    for (size_t i = 0; i < out_len; i++) {
        out[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
    }
    return QR_OK;
}

size_t
qr_b64url_len(size_t n)
{
    return n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
}

size_t
qr_b64_len(size_t n)
{
    return n / 3 * 4 + (n % 3 ? 4 : 0);
}

/* Writes the digits without padding; returns their number. */
static size_t
digits_encode(qr_view v, const char *digits, char *out)
{
    size_t o = 0;
    uint32_t acc = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < v.len; i++) {
        acc = acc << 8 | v.p[i];
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            out[o++] = digits[acc >> bits & 63];
        }
    }
    if (bits > 0) {
        out[o++] = digits[acc << (6 - bits) & 63];
    }
    return o;
}

void
qr_b64url_encode(qr_view v, char *out)
{
    out[digits_encode(v, b64url_digits, out)] = '\0';
}

void
qr_b64_encode(qr_view v, char *out)
{
    size_t o = digits_encode(v, b64_digits, out);
    while (o % 4 != 0) {
        out[o++] = '=';
    }
    out[o] = '\0';
}

static int
digit_value(const char *digits, char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == digits[62] ? 62 : c == digits[63] ? 63 : -1;
}

/* Digits without padding. One text per value: the unused low bits of the last digit are zero. */
static qr_err
digits_decode(const char *text, size_t text_len, const char *digits, uint8_t *out, size_t cap,
              size_t *ret_len)
{
    size_t n = text_len / 4 * 3 + (text_len % 4 ? text_len % 4 - 1 : 0), o = 0;
    uint32_t acc = 0;
    unsigned bits = 0;

    if (text_len % 4 == 1) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; i < text_len; i++) {
        if (digit_value(digits, text[i]) < 0) {
            return QR_ERR_MALFORMED;
        }
    }
    if (text_len % 4 != 0) {
        int last = digit_value(digits, text[text_len - 1]);
        if (last & (text_len % 4 == 2 ? 15 : 3)) {
            return QR_ERR_MALFORMED;
        }
    }
    if (n > cap) {
        return QR_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < text_len; i++) {
        acc = acc << 6 | (uint32_t)digit_value(digits, text[i]);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[o++] = (uint8_t)(acc >> bits);
        }
    }
    *ret_len = n;
    return QR_OK;
}

qr_err
qr_b64url_decode(const char *text, size_t text_len, uint8_t *out, size_t cap, size_t *ret_len)
{
    return digits_decode(text, text_len, b64url_digits, out, cap, ret_len);
}

qr_err
qr_b64_decode(const char *text, size_t text_len, uint8_t *out, size_t cap, size_t *ret_len)
{
    size_t pad = 0;

    if (text_len % 4 != 0) {
        return QR_ERR_MALFORMED;
    }
    /* "=" fills the last group only, and at least two digits stand before it. */
    while (pad < 2 && pad < text_len && text[text_len - 1 - pad] == '=') {
        pad++;
    }
    return digits_decode(text, text_len - pad, b64_digits, out, cap, ret_len);
}
