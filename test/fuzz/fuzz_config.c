/*
 * Configuration files of both programs: refused with a sentence that names the file, or read; what was
 * read, printed, reads as the same.
 */
#include "daemon/config.h"
#include "test/fuzz/kit.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    union {
        struct qr_config_party party;
        struct qr_config_gateway gateway;
    } cfg, again;
    char why[1024] = "";
    enum qr_config_role role = fuzz_choice(&data, &size, 2) ? QR_CONFIG_GATEWAY : QR_CONFIG_PARTY;
    size_t len = role == QR_CONFIG_PARTY ? sizeof cfg.party : sizeof cfg.gateway;
    const char *path = fuzz_file("config", 0, qr_view_of(data, size));

    if (qr_config_load(role, path, &cfg, why, sizeof why) != QR_OK) {
        FUZZ_MUST(strstr(why, "config") != NULL && strnlen(why, sizeof why) < sizeof why);
        FUZZ_MUST(!strchr(why, '\n'));
        return 0;
    }
    path = fuzz_file("printed", 1, qr_view_of("", 0));
    FILE *f = fopen(path, "w");
    FUZZ_MUST(f);
    qr_config_print(role, &cfg, f);
    FUZZ_MUST(fclose(f) == 0);
    if (qr_config_load(role, path, &again, why, sizeof why) != QR_OK) {
        (void)fprintf(stderr, "%s\n", why);
        abort();
    }
    FUZZ_MUST(memcmp(&cfg, &again, len) == 0);
    return 0;
}
