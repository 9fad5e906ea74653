/*
 * qr_view: a pointer and a length by value; big-endian loads and stores.
 *
 * What: how bytes we do not own are passed around. Never NUL-terminated, never freed through.
 * Why: a length that travels with its pointer cannot be forgotten.
 */
#ifndef QR_VIEW_H
#define QR_VIEW_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct qr_view {
    const uint8_t *p;
    size_t len;
} qr_view;

static inline qr_view
qr_view_of(const void *p, size_t len)
{
    return (qr_view){(const uint8_t *)p, len};
}

static inline qr_view
qr_view_str(const char *s)
{
    return (qr_view){(const uint8_t *)s, strlen(s)};
}

/* Equality of public data; variable time. Secrets: qr_sec_eq in secret.h. */
static inline int
qr_view_eq(qr_view a, qr_view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline void
qr_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void
qr_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void
qr_put64(uint8_t *p, uint64_t v)
{
    qr_put32(p, (uint32_t)(v >> 32));
    qr_put32(p + 4, (uint32_t)v);
}

static inline uint16_t
qr_get16(const uint8_t *p)
{
    return (uint16_t)((p[0] << 8) | p[1]);
}

static inline uint32_t
qr_get32(const uint8_t *p)
{
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}

static inline uint64_t
qr_get64(const uint8_t *p)
{
    return ((uint64_t)qr_get32(p) << 32) | qr_get32(p + 4);
}

#endif
