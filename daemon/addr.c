#include "daemon/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

int
qr_parse_decimal(const char *s, size_t len, unsigned long max, unsigned long *ret)
{
    unsigned long v = 0;
    if (len == 0 || (len > 1 && s[0] == '0')) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return 0;
        }
        unsigned long digit = (unsigned long)(s[i] - '0');
        if (digit > max || v > (max - digit) / 10) {
            return 0;
        }
        v = 10 * v + digit;
    }
    *ret = v;
    return 1;
}

qr_err
qr_addr_parse(const char *text, struct qr_addr *ret)
{
    char host[INET6_ADDRSTRLEN];
    unsigned long port = 0;
    const char *colon = strrchr(text, ':');

    if (!colon || !qr_parse_decimal(colon + 1, strlen(colon + 1), 65535, &port)) {
        return QR_ERR_ADDRESS;
    }
    int v6 = text[0] == '[';
    const char *from = v6 ? text + 1 : text;
    const char *to = v6 ? colon - 1 : colon;
    if (to <= from || (v6 && *to != ']') || (size_t)(to - from) >= sizeof host) {
        return QR_ERR_ADDRESS;
    }
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';

    struct qr_addr a;
    memset(&a, 0, sizeof a);
    if (v6) {
        struct sockaddr_in6 *s = (struct sockaddr_in6 *)&a.ss;
        s->sin6_family = AF_INET6;
        s->sin6_port = htons((uint16_t)port);
        a.len = sizeof *s;
        if (inet_pton(AF_INET6, host, &s->sin6_addr) != 1) {
            return QR_ERR_ADDRESS;
        }
    } else {
        struct sockaddr_in *s = (struct sockaddr_in *)&a.ss;
        s->sin_family = AF_INET;
        s->sin_port = htons((uint16_t)port);
        a.len = sizeof *s;
        if (inet_pton(AF_INET, host, &s->sin_addr) != 1) {
            return QR_ERR_ADDRESS;
        }
    }
    *ret = a;
    return QR_OK;
}

int
qr_addr_is_loopback(const struct qr_addr *a)
{
    if (a->ss.ss_family == AF_INET) {
        const struct sockaddr_in *s = (const struct sockaddr_in *)&a->ss;
        return (ntohl(s->sin_addr.s_addr) >> 24) == 127;
    }
    if (a->ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *s = (const struct sockaddr_in6 *)&a->ss;
        return IN6_IS_ADDR_LOOPBACK(&s->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&s->sin6_addr) && s->sin6_addr.s6_addr[12] == 127);
    }
    return 0;
}

void
qr_addr_text(const struct qr_addr *a, char out[static QR_ADDR_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (a->ss.ss_family == AF_INET) {
        const struct sockaddr_in *s = (const struct sockaddr_in *)&a->ss;
        inet_ntop(AF_INET, &s->sin_addr, host, sizeof host);
        snprintf(out, QR_ADDR_TEXT_MAX, "%s:%u", host, ntohs(s->sin_port));
    } else if (a->ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *s = (const struct sockaddr_in6 *)&a->ss;
        inet_ntop(AF_INET6, &s->sin6_addr, host, sizeof host);
        snprintf(out, QR_ADDR_TEXT_MAX, "[%s]:%u", host, ntohs(s->sin6_port));
    } else {
        snprintf(out, QR_ADDR_TEXT_MAX, "%s", a->ss.ss_family == AF_UNIX ? "unix" : "unknown");
    }
}
