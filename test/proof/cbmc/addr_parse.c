/*
 * PROVES: HOST:PORT. For any text: nothing is read past its end or written past the host buffer; what is
 *         accepted went through inet_pton whole, has a port up to 65535 and the right family and length.
 * BOUND:  texts of 0..9 characters, all contents. inet_pton may accept anything.
 * CBMC:   --unwind 12
 * BITE:   daemon/addr.c s/to <= from ||/to < from - 1 ||/
 * BITE:   daemon/addr.c s/>= sizeof host/> sizeof host/
 * SCALE:  daemon/addr.c s/char host\[INET6_ADDRSTRLEN\];/char host[5];/
 */
#include "daemon/addr.c"

#include "test/proof/cbmc/proof.h"

static int families[2];

int
inet_pton(int family, const char *text, void *out)
{
    families[family == AF_INET6]++;
    PROVE(strlen(text) >= 1, "a host is not empty");
    memset(out, 0, family == AF_INET6 ? 16 : 4);
    return nondet_int();
}

void
proof(void)
{
    size_t len = any_size(9);
    char *text = (char *)any_bytes(len + 1);
    struct qr_addr a;
    text[len] = '\0';
    if (qr_addr_parse(text, &a) == QR_OK) {
        PROVE(families[0] + families[1] == 1, "judged once");
        PROVE(families[1] == (text[0] == '['), "brackets are IPv6");
        PROVE(a.len == (families[1] ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)),
              "len");
    }
}
