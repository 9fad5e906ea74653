/*
 * kmsbox: test/common/kmsbox.h as a program, for enclaves in a guest.
 *
 * usage: kmsbox --kms PORT --credentials PORT [--pcr0 HEX] [--pcr8 HEX]
 * Listens on loopback only (0: any port), prints both addresses, and a line for every request it
 * answered or refused, until it is killed. Documents must end in the throwaway root of
 * test/common/fakensm.h, its time is the system's.
 */
#include "test/common/kmsbox.h"
#include "protocol/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int
port_of(const char *text, uint16_t *ret)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end || v > 65535) {
        return 0;
    }
    *ret = (uint16_t)v;
    return 1;
}

static int
hex_of(const char *text, char out[static 97])
{
    if (strlen(text) != 96 || strspn(text, "0123456789abcdef") != 96) {
        return 0;
    }
    memcpy(out, text, 97);
    return 1;
}

static void
print_report(const struct kmsbox *b)
{
    printf("kmsbox: requests %u, generated %u, decrypted %u, credentials %u%s%s\n", b->requests,
           b->generated, b->decrypted, b->credentials, b->refused[0] ? ", last refusal: " : "",
           b->refused);
    (void)fflush(stdout);
}

int
main(int argc, char **argv)
{
    static struct kmsbox b = {.real_time = 1, .after = print_report};
    uint16_t kms = 0, credentials = 0;

    for (int i = 1; i < argc; i += 2) {
        const char *v = i + 1 < argc ? argv[i + 1] : "";
        int ok = strcmp(argv[i], "--kms") == 0           ? port_of(v, &kms)
                 : strcmp(argv[i], "--credentials") == 0 ? port_of(v, &credentials)
                 : strcmp(argv[i], "--pcr0") == 0        ? hex_of(v, b.pcr0)
                 : strcmp(argv[i], "--pcr8") == 0        ? hex_of(v, b.pcr8)
                                                         : 0;
        if (!ok) {
            (void)fprintf(stderr, "kmsbox: %s %s: see the head of test/vm/kmsbox.c\n", argv[i], v);
            return 2;
        }
    }
    if (qr_hash_init() != QR_OK) {
        return 1;
    }
    kmsbox_serve(&b, kms, credentials);
    return 0;
}
