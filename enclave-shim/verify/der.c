#include "enclave-shim/verify/der.h"

qr_err
qr_der_next(struct qr_der *d, uint8_t *ret_tag, qr_view *ret)
{
    size_t head = 2, len = 0;

    if (d->left < head || (d->p[0] & 0x1f) == 0x1f) {
        return QR_ERR_MALFORMED; /* cut off, or an identifier of several octets */
    }
    len = d->p[1];
    if (len >= 0x80) {
        size_t octets = len & 0x7f;
        if (octets == 0 || octets > 3 || d->left < head + octets) {
            return QR_ERR_MALFORMED; /* indefinite, or 16 MiB and more */
        }
        len = 0;
        for (size_t i = 0; i < octets; i++) {
            len = (len << 8) | d->p[head + i];
        }
        if (len < 0x80 || len >> (8 * (octets - 1)) == 0) {
            return QR_ERR_MALFORMED; /* not the shortest form */
        }
        head += octets;
    }
    if (len > d->left - head) {
        return QR_ERR_MALFORMED;
    }
    *ret_tag = d->p[0];
    *ret = qr_view_of(d->p + head, len);
    d->p += head + len;
    d->left -= head + len;
    return QR_OK;
}

qr_err
qr_der_want(struct qr_der *d, uint8_t tag, qr_view *ret)
{
    struct qr_der ahead = *d;
    uint8_t found = 0;
    qr_view v;

    QR_TRY(qr_der_next(&ahead, &found, &v));
    if (found != tag) {
        return QR_ERR_MALFORMED;
    }
    *d = ahead;
    *ret = v;
    return QR_OK;
}

qr_err
qr_der_uint(qr_view v, uint64_t *ret)
{
    uint64_t u = 0;
    size_t i = 0;

    if (v.len == 0 || (v.p[0] & 0x80) != 0) {
        return QR_ERR_MALFORMED;
    }
    if (v.p[0] == 0 && v.len > 1) {
        if ((v.p[1] & 0x80) == 0) {
            return QR_ERR_MALFORMED; /* a zero that the sign does not need */
        }
        i = 1;
    }
    if (v.len - i > 8) {
        return QR_ERR_MALFORMED;
    }
    for (; i < v.len; i++) {
        u = (u << 8) | v.p[i];
    }
    *ret = u;
    return QR_OK;
}

/* The next number of a dotted text; 0: there is none, or it is written with a leading zero. */
static int
next_arc(const char **s, uint64_t *ret)
{
    uint64_t n = 0;
    const char *p = *s;
    if (*p < '0' || *p > '9' || (p[0] == '0' && p[1] >= '0' && p[1] <= '9')) {
        return 0;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > UINT32_MAX) {
            return 0;
        }
        n = n * 10 + (uint64_t)(*p - '0');
    }
    if (*p == '.') {
        p++;
        if (*p == 0) {
            return 0;
        }
    } else if (*p != 0) {
        return 0;
    }
    *s = p;
    *ret = n;
    return 1;
}

/* Compares one sub-identifier at v.p[*at] in base 128. */
static int
same_arc(qr_view v, size_t *at, uint64_t n)
{
    size_t groups = 1;
    while (groups < 10 && n >> (7 * groups) != 0) {
        groups++;
    }
    if (v.len - *at < groups) {
        return 0;
    }
    for (size_t i = groups; i-- > 0; (*at)++) {
        uint8_t want = (uint8_t)((n >> (7 * i)) & 0x7f) | (i > 0 ? 0x80 : 0);
        if (v.p[*at] != want) {
            return 0;
        }
    }
    return 1;
}

int
qr_der_is_oid(qr_view v, const char *dots)
{
    uint64_t first = 0, arc = 0;
    size_t at = 0;

    if (!next_arc(&dots, &first) || first > 2 || !next_arc(&dots, &arc) ||
        (first < 2 && arc > 39) || !same_arc(v, &at, 40 * first + arc)) {
        return 0;
    }
    while (*dots != 0) {
        if (!next_arc(&dots, &arc) || !same_arc(v, &at, arc)) {
            return 0;
        }
    }
    return at == v.len;
}
