/*
 * A wallet looks at a party, now, before it uses the key: wallet POLICY EVIDENCE CONTEXT VENDOR ROOT
 *   POLICY    the quorum's policy document: measurements, debug, freshness, machines
 *   EVIDENCE  what the party answered, encoded
 *   CONTEXT   160 bytes: the nonce that was sent, the party's identity key, SHA-256 of policy and
 *             roster, the boot nonce of the answer
 *   ROOT      SHA-256 of VENDOR's root certificate, hex, as the vendor prints it
 * Exit status: 0 the party is what the policy wants, 1 it is not, 2 usage.
 */
#include <quorate_verify.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static size_t
load(const char *path, uint8_t *out, size_t cap)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(out, 1, cap, f) : 0;
    return f && fclose(f) == 0 ? n : 0;
}

int
main(int argc, char **argv)
{
    static const char *const checks[] = {"chain",       "validity", "signature", "debug",
                                         "measurement", "binder",   "freshness"};
    static uint8_t text[262144], wire[266240], c[160], root[32], binder[32];
    char err[256] = "a file is missing";
    size_t text_len = argc == 6 ? load(argv[1], text, sizeof text) : 0;
    size_t wire_len = argc == 6 ? load(argv[2], wire, sizeof wire) : 0;
    int ok = argc == 6 && load(argv[3], c, sizeof c) == sizeof c;

    for (size_t i = 0; ok && i < sizeof root; i++) {
        char digits[3] = {argv[5][2 * i], argv[5][2 * i] ? argv[5][2 * i + 1] : 0, 0}, *end;
        root[i] = (uint8_t)strtoul(digits, &end, 16);
        ok = end == digits + 2;
    }
    struct quorate_policy *p = ok ? quorate_policy_read(text, text_len, err, sizeof err) : NULL;
    struct quorate_evidence *e = quorate_evidence_read(wire, wire_len);
    struct quorate_roots *roots = quorate_roots_new();
    struct quorate_request *r = quorate_request_new();
    if (!p || !e || quorate_roots_pin(roots, argv[4], root) != QUORATE_OK ||
        quorate_client_binder(c, c + 32, c + 64, c + 96, c + 128, binder) != QUORATE_OK ||
        quorate_request_set_binder(r, binder, sizeof binder) != QUORATE_OK) {
        fprintf(stderr, "wallet: %s\n", p ? "not evidence, or not a root" : err);
        return 2;
    }
    quorate_request_set_policy(r, p);
    quorate_request_set_roots(r, roots);
    quorate_request_set_time(r, (int64_t)time(NULL) * 1000);
    struct quorate_verdict *v = quorate_verify(e, r);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        printf("%-12s %s\n", checks[i], quorate_verdict_check(v, checks[i]) == 1 ? "yes" : "NO");
    }
    printf("%s %s\n",
           quorate_verdict_accepted(v) ? "accepted" : "refused:", quorate_verdict_sentence(v));
    return quorate_verdict_accepted(v) ? 0 : 1; /* the handles end with the program */
}
