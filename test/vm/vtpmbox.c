/*
 * vtpmbox: makes a software TPM into a cloud's virtual one, for parties that run as programs.
 *
 * usage: vtpmbox azure|google|boot|extend unix:SOCKET DIR
 *
 * boot: only extends, as a machine that starts the same image again does; extend: PCR 11 once more, as
 * another image does. Else:
 *
 * Extends PCRs 4 and 11, so that they say which image booted; puts into the TPM what Azure's paravisor or
 * Google's host puts there (test/common/fakecloud.h); writes into DIR release.key and release.stmt, thim.json,
 * vek.der and cert_chain.pem (what the metadata service or AMD would say), ak_chain.pem for Google, and roots: the throwaway vendors' for
 * QUORATE_TEST_ROOTS. Prints in hex PCR 4, PCR 11 and the paravisor's id key digest.
 */
#include "enclave-shim/tpm/tpm.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/fakecloud.h"
#include "test/common/fakehw.h"
#include "test/common/swtpm.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
must(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "vtpmbox: %s\n", what);
        exit(1);
    }
}

static FILE *
make(const char *dir, const char *name)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    must(f != NULL, path);
    return f;
}

static void
put(const char *dir, const char *name, const void *p, size_t n)
{
    FILE *f = make(dir, name);
    must(fwrite(p, 1, n, f) == n && fclose(f) == 0, name);
}

static void
boot(const char *tpm, int other)
{
    struct qr_tpm *t = NULL;
    char why[400] = "", hex[2][65];
    char id_hex[97];
    uint8_t digest[32] = {0x51}, id[48], pcr[QR_TPM_PCRS][32];

    must(qr_tpm_open(tpm, 5000, &t, why, sizeof why) == QR_OK, why);
    must(other || swtpm_extend(qr_tpm_fd(t), 4, digest) == 0, "extend");
    must(swtpm_extend(qr_tpm_fd(t), 11, digest) == 0, "extend");
    must(qr_tpm_pcr_read(t, 1u << 4 | 1u << 11, pcr) == QR_OK, qr_tpm_error(t));
    qr_hex_encode(qr_view_of(pcr[4], 32), hex[0]);
    qr_hex_encode(qr_view_of(pcr[11], 32), hex[1]);
    fakehw_id_key(id);
    qr_hex_encode(qr_view_of(id, sizeof id), id_hex);
    printf("%s %s %s\n", hex[0], hex[1], id_hex);
    qr_tpm_close(t);
}

static void
put_roots(const char *dir, const struct qr_roots *r)
{
    static const char *const word[QR_ROOT_COUNT] = {[QR_ROOT_AMD_MILAN] = "amd-milan",
                                                    [QR_ROOT_AMD_GENOA] = "amd-genoa",
                                                    [QR_ROOT_AMD_TURIN] = "amd-turin",
                                                    [QR_ROOT_INTEL] = "intel",
                                                    [QR_ROOT_GOOGLE_VTPM] = "google-vtpm"};
    FILE *f = make(dir, "roots");
    for (size_t v = 0; v < QR_ROOT_COUNT; v++) {
        for (size_t i = 0; i < r->of[v].n && word[v]; i++) {
            char hex[65];
            qr_hex_encode(qr_view_of(r->of[v].sha256[i], 32), hex);
            (void)fprintf(f, "%s %s\n", word[v], hex);
        }
    }
    must(fclose(f) == 0, "roots");
}

int
main(int argc, char **argv)
{
    static struct qr_roots roots;
    static uint8_t text[40000];

    must(argc == 4, "usage: vtpmbox azure|google|boot|extend unix:SOCKET DIR");
    must(sodium_init() >= 0 && qr_hash_init() == QR_OK, "libraries");
    boot(argv[2], strcmp(argv[1], "extend") == 0);
    if (strcmp(argv[1], "boot") == 0 || strcmp(argv[1], "extend") == 0) {
        return 0;
    }
    fakehw_roots(&roots);
    if (strcmp(argv[1], "azure") == 0) {
        fakecloud_azure(argv[2], 0);
    } else {
        must(strcmp(argv[1], "google") == 0, "azure or google");
        fakecloud_google(argv[2], argv[3], &roots);
    }
    fakecloud_release(argv[2], argv[3]);
    put(argv[3], "thim.json", text, fakehw_thim_json((char *)text, sizeof text));
    put(argv[3], "vek.der", text, fakehw_kds_vek(text, sizeof text));
    put(argv[3], "cert_chain.pem", text, fakehw_kds_chain(text, sizeof text));
    put_roots(argv[3], &roots);
    return 0;
}
