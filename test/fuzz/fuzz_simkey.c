/*
 * The software TEE's key file, as its folder's owner may have left it: any content, mode and type. It is
 * opened, made, or refused with a sentence; what two openings seal with is the same.
 */
#include "enclave-shim/tee.h"
#include "protocol/base/hash.h"
#include "test/fuzz/kit.h"

#include <sys/stat.h>
#include <unistd.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const mode_t modes[8] = {0600, 0400, 0640, 0604, 0660, 0700, 0610, 0200};
    static int started;
    struct qr_tee a = {0}, b = {0};
    char why[512] = "", path[128];
    uint8_t sealed[128], plain[128];
    struct qr_buf in = qr_buf_over(sealed, sizeof sealed), out = qr_buf_over(plain, sizeof plain);

    if (!started) {
        FUZZ_MUST(qr_hash_init() == QR_OK);
        started = 1;
    }
    unsigned how = fuzz_choice(&data, &size, 256);
    (void)snprintf(path, sizeof path, "%s/sim-seal.key", fuzz_dir());
    (void)remove(path);
    if ((how & 3) == 1) {
        FUZZ_MUST(symlink("elsewhere", path) == 0);
    } else if ((how & 3) == 2) {
        FUZZ_MUST(mkdir(path, 0700) == 0);
    } else if (size > 0) {
        (void)fuzz_file("sim-seal.key", 0, qr_view_of(data, size));
        FUZZ_MUST(chmod(path, modes[how >> 5]) == 0);
    }
    qr_err e = qr_tee_sim_open(fuzz_dir(), &a, why, sizeof why);
    if (e != QR_OK) {
        FUZZ_MUST(e == QR_ERR_PERMISSIONS || e == QR_ERR_PLATFORM);
        FUZZ_MUST(why[0] && (how & 3 || size > 0));
        fuzz_text(why, sizeof why);
    } else {
        FUZZ_MUST((how & 3) != 1 && (how & 3) != 2 && (size == 32 || size == 0));
        FUZZ_MUST(qr_tee_sim_open(fuzz_dir(), &b, why, sizeof why) == QR_OK);
        FUZZ_MUST(a.seal(a.ctx, 0, qr_view_str("ad"), qr_view_str("text"), &in) == QR_OK);
        FUZZ_MUST(b.unseal(b.ctx, 0, qr_view_str("ad"), qr_buf_view(&in), &out) == QR_OK);
        FUZZ_MUST(out.len == 4 && memcmp(plain, "text", 4) == 0);
        qr_tee_close(&a);
        qr_tee_close(&b);
    }
    (void)remove(path);
    return 0;
}
