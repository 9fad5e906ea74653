/*
 * A program has a file's SHA-256 signed: sign GATEWAYS ROSTER KEY CLIENT.pem FILE
 * Prints the signature in DER as hex, and the public key it verifies under.
 * Exit status: 0 signed and verified; else the library's status, 64 for usage.
 */
#include <quorate_client.h>
#include <stdio.h>

static size_t
load(const char *path, uint8_t *out, size_t cap)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(out, 1, cap, f) : 0;
    return f && fclose(f) == 0 ? n : 0;
}

static void
on_step(void *ctx, const char *step, const char *gateway, const char *text)
{
    (void)ctx;
    fprintf(stderr, "%s %s %s\n", gateway, step, text);
}

static void
print_hex(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        printf("%02x", p[i]);
    }
    printf("\n");
}

int
main(int argc, char **argv)
{
    static uint8_t roster[262144], file[32768];
    uint8_t der[72], key[33];
    char err[512] = "";
    size_t n = 0;
    int status = 64;

    if (argc != 6) {
        fprintf(stderr, "usage: sign GATEWAYS ROSTER KEY CLIENT.pem FILE\n");
        return 64;
    }
    struct quorate_client *c =
        quorate_client_new(argv[1], roster, load(argv[2], roster, sizeof roster), err, sizeof err);
    struct quorate_job *j = quorate_job_new(c, argv[3]);
    quorate_client_progress(c, on_step, NULL);
    if (c && j) {
        status = (int)quorate_client_key_file(c, argv[4], err, sizeof err);
        if (!status) {
            status = (int)quorate_job_add(j, "sha256", file, load(argv[5], file, sizeof file));
        }
        if (!status) {
            status = (int)quorate_job_stamp(j, err, sizeof err);
        }
        if (!status) {
            status = (int)quorate_job_send(j, err, sizeof err);
        }
    }
    if (!status && !quorate_job_der(j, 0, der, &n) && !quorate_job_public_key(j, key)) {
        print_hex(der, n);
        print_hex(key, sizeof key);
    } else {
        fprintf(stderr, "%s %s\n", quorate_job_code(j), err);
    }
    quorate_job_free(j);
    quorate_client_free(c);
    return status;
}
