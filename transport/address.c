#include "transport/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static int
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Characters of names; the resolver sees nothing else. */
static int
is_host_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
}

static int
is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int
is_ipv6(const char *host)
{
    struct in6_addr a;
    return inet_pton(AF_INET6, host, &a) == 1;
}

/*
 * A host whose last label is a number: no name, but to a resolver one of the old forms of IPv4
 * addresses. It would take "010.0.0.1" for 8.0.0.1, "127.1" for 127.0.0.1 and "2" for 0.0.0.2.
 */
static int
ends_in_number(const char *host)
{
    size_t end = strlen(host), from;
    int hex, digits = 1;

    if (end > 0 && host[end - 1] == '.') {
        end--; /* the root, which a name may end with */
    }
    for (from = end; from > 0 && host[from - 1] != '.';) {
        from--;
    }
    hex = end - from >= 2 && host[from] == '0' && (host[from + 1] == 'x' || host[from + 1] == 'X');
    for (size_t i = from + (hex ? 2 : 0); i < end; i++) {
        digits = digits && (hex ? is_hex(host[i]) : is_digit(host[i]));
    }
    return digits;
}

/* Four decimal numbers, or a name of characters that the resolver should see. */
static int
is_ipv4_or_name(const char *host)
{
    struct in_addr a;

    if (ends_in_number(host)) {
        return inet_pton(AF_INET, host, &a) == 1;
    }
    for (; *host; host++) {
        if (!is_host_char(*host)) {
            return 0;
        }
    }
    return 1;
}

static qr_err
parse_port(const char *s, uint16_t *ret)
{
    unsigned v = 0;
    size_t n = strlen(s);

    if (n < 1 || n > 5 || (s[0] == '0' && n > 1)) {
        return QR_ERR_ADDRESS;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s[i])) {
            return QR_ERR_ADDRESS;
        }
        v = 10 * v + (unsigned)(s[i] - '0');
    }
    if (v > UINT16_MAX) {
        return QR_ERR_ADDRESS;
    }
    *ret = (uint16_t)v;
    return QR_OK;
}

static qr_err
parse_tcp(const char *s, struct qr_address *a)
{
    const char *colon = strrchr(s, ':');
    size_t n = colon ? (size_t)(colon - s) : 0;
    int v6 = n >= 2 && s[0] == '[' && s[n - 1] == ']';

    if (v6) {
        s++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof a->host) {
        return QR_ERR_ADDRESS;
    }
    memcpy(a->host, s, n); /* the rest is zero */
    if (!(v6 ? is_ipv6(a->host) : is_ipv4_or_name(a->host))) {
        return QR_ERR_ADDRESS;
    }
    a->kind = QR_ADDRESS_TCP;
    return parse_port(colon + 1, &a->port);
}

qr_err
qr_address_parse(const char *text, struct qr_address *ret)
{
    struct qr_address a = {.port = 0};

    if (strlen(text) >= QR_ADDRESS_MAX) {
        return QR_ERR_ADDRESS;
    }
    if (strncmp(text, "tcp://", 6) == 0) {
        QR_TRY(parse_tcp(text + 6, &a));
    } else if (strncmp(text, "unix://", 7) == 0 && text[7] == '/') {
        a.kind = QR_ADDRESS_UNIX;
        memcpy(a.host, text + 7, strlen(text + 7) + 1);
    } else if (strncmp(text, "mem://", 6) == 0 && text[6]) {
        a.kind = QR_ADDRESS_MEM;
        memcpy(a.host, text + 6, strlen(text + 6) + 1);
    } else {
        return QR_ERR_ADDRESS;
    }
    *ret = a;
    return QR_OK;
}

void
qr_address_explain(const char *text, int errno_value, char *out, size_t cap)
{
    const char *what, *advice;

    switch (errno_value) {
    case EADDRINUSE:
        what = "address already in use";
        advice = "is another quorated running?";
        break;
    case EADDRNOTAVAIL:
        what = "address not available";
        advice = "no interface of this machine has it";
        break;
    case EACCES:
    case EPERM:
        what = "permission denied";
        advice = "ports below 1024 and foreign directories need privileges";
        break;
    case ENOENT:
        what = "no such directory";
        advice = "create it first";
        break;
    case EINVAL:
        what = "not an address";
        advice = "write tcp://HOST:PORT or unix:///PATH";
        break;
    case ENOTSUP:
        what = "not an IP address";
        advice = "plain sockets do not resolve names";
        break;
    case ENAMETOOLONG:
        what = "path too long";
        advice = "Unix sockets allow 107 bytes";
        break;
    default:
        what = strerror(errno_value);
        advice = NULL;
        break;
    }
    (void)snprintf(out, cap, "%s: %s%s%s", text, what, advice ? ": " : "", advice ? advice : "");
}
