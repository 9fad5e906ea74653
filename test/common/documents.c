#include "test/common/documents.h"

#include "protocol/base/enc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>

void
doc_replace(char *text, size_t cap, const char *from, const char *to)
{
    char *at = strstr(text, from);
    if (!at) {
        fail_msg("no \"%s\" in %s", from, text);
    }
    size_t tail = strlen(at + strlen(from)) + 1, n = strlen(to);
    assert_true((size_t)(at - text) + n + tail <= cap);
    memmove(at + n, at + strlen(from), tail);
    memcpy(at, to, n);
}

void
doc_admins(char *out, size_t cap, unsigned need, const struct stamper *s, size_t n)
{
    size_t len = (size_t)snprintf(out, cap, "{\"need\":%u,\"keys\":[", need);
    for (size_t i = 0; i < n; i++) {
        len += (size_t)snprintf(out + len, cap - len,
                                "%s{\"name\":\"a%zu\",\"scheme\":\"%s\",\"key\":\"%s\"}",
                                i ? "," : "", i + 1, qr_scheme_name(s[i].pub.scheme), s[i].hex);
        assert_true(len < cap);
    }
    len += (size_t)snprintf(out + len, cap - len, "]}");
    assert_true(len < cap);
}

void
doc_roster(char *out, size_t cap, unsigned serial, size_t n, const char *admins, const char *seed)
{
    size_t len = (size_t)snprintf(out, cap,
                                  "{\"v\":1,\"type\":\"quorate/roster\",\"cluster\":\"" DOC_CLUSTER
                                  "\",\"name\":\"demo\",\"serial\":%u,\"parties\":[",
                                  serial);
    for (size_t i = 0; i < n; i++) {
        uint8_t h[32], pk[32], sk[64];
        char hex[65];
        char text[64];
        (void)snprintf(text, sizeof text, "%s %zu", seed, i);
        crypto_hash_sha256(h, (const uint8_t *)text, strlen(text));
        (void)crypto_sign_seed_keypair(pk, sk, h);
        qr_hex_encode(qr_view_of(pk, 32), hex);
        len += (size_t)snprintf(out + len, cap - len,
                                "%s{\"index\":%zu,\"identity\":\"%s\",\"address\":"
                                "\"tcp://127.0.0.1:%zu\",\"cloud\":\"local\",\"operator\":\"demo\","
                                "\"tee\":\"sim\"}",
                                i ? "," : "", i + 1, hex, 7001 + i);
        assert_true(len < cap);
    }
    len += (size_t)snprintf(out + len, cap - len, "],\"admins\":%s}", admins);
    assert_true(len < cap);
}

void
doc_stamps(const struct stamper *s, size_t n, qr_view text, char *mem, qr_view *ret)
{
    for (size_t i = 0; i < n; i++) {
        ret[i] = stamper_stamp(&s[i], text, mem + i * QR_STAMP_MAX);
    }
}
