/*
 * User data: refused with a printable sentence, or read. What was read makes configuration files of
 * whole, bounded lines; said again as a document of ours it reads as the same; and lines outside the
 * map change nothing.
 */
#include "daemon/userdata.h"
#include "test/fuzz/kit.h"

static const struct {
    const char *section, *key;
} keys[] = {
#define KEY(section, key, form, party, gateway) {section, key},
#include "daemon/userdata.def"
#undef KEY
};

static size_t
say(const struct qr_userdata *u, char *out, size_t cap)
{
    const char *section = "";
    size_t n = (size_t)snprintf(out, cap, "#cloud-config\nquorate:\n");
    for (size_t i = 0; i < QR_USERDATA_KEYS; i++) {
        if (u->value[i][0] == '\0') {
            continue;
        }
        if (strcmp(section, keys[i].section) != 0) {
            section = keys[i].section;
            n += (size_t)snprintf(out + n, cap - n, "  %s:\n", section);
        }
        n += (size_t)snprintf(out + n, cap - n, "    %s: \"%s\"\n", keys[i].key, u->value[i]);
    }
    for (size_t i = 0; i < u->n_routes; i++) {
        n += (size_t)snprintf(out + n, cap - n, "%s    %u: \"%s\"\n", i ? "" : "  routes:\n",
                              u->route[i].number, u->route[i].to);
    }
    n += (size_t)snprintf(out + n, cap - n, "runcmd: [x]\n\tz\n");
    FUZZ_MUST(n < cap);
    return n;
}

static void
conf(const struct qr_userdata *u, enum qr_userdata_role role)
{
    static const struct qr_userdata_fixed fixed[] = {{"party", "tee", "sim"}, {NULL, NULL, NULL}};
    char out[QR_USERDATA_CONF_MAX];
    FUZZ_MUST(qr_userdata_conf(u, role, fixed, out, sizeof out) == QR_OK);
    for (char *line = out; *line; line += strcspn(line, "\n") + 1) {
        FUZZ_MUST(strcspn(line, "\n") <= 197 && (*line == '[' || strstr(line, " = ")));
        FUZZ_MUST(strncmp(line, "state_dir", 9) != 0 && strncmp(line, "admin_socket", 12) != 0);
        FUZZ_MUST(strncmp(line, "tee", 3) != 0 || strncmp(line, "tee = sim\n", 10) == 0);
    }
    FUZZ_MUST(!strchr(out, ';'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[65536];
    struct qr_userdata u, again;
    char why[QR_USERDATA_ERR_MAX] = "";

    if (qr_userdata_parse(data, size, &u, why) != QR_OK) {
        FUZZ_MUST(why[0] != '\0' && strnlen(why, sizeof why) < sizeof why);
        for (const char *c = why; *c; c++) {
            FUZZ_MUST(*c >= 0x20 && *c < 0x7f);
        }
        return 0;
    }
    conf(&u, QR_USERDATA_PARTY);
    conf(&u, QR_USERDATA_GATEWAY);
    size_t n = say(&u, text, sizeof text);
    FUZZ_MUST(qr_userdata_parse((const uint8_t *)text, n, &again, why) == QR_OK);
    FUZZ_MUST(memcmp(&u, &again, sizeof u) == 0);
    return 0;
}
