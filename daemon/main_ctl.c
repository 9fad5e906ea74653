/* quorate: finds the command and runs it. */
#include "build_info.h"
#include "daemon/ctl.h"
#include "daemon/stamp.h"
#include "proto/boundary.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct qr_ctl_cmd *const groups[] = {
    qr_ctl_key_cmds,     qr_ctl_doc_cmds,     qr_ctl_admin_cmds,     qr_ctl_sign_cmds,
    qr_ctl_verify_cmds,  qr_ctl_measure_cmds, qr_ctl_image_eif_cmds, qr_ctl_image_uki_cmds,
    qr_ctl_release_cmds, qr_ctl_facade_cmds,  qr_ctl_approve_cmds,   qr_ctl_audit_cmds,
    qr_ctl_receipt_cmds};

static void
usage(FILE *out)
{
    fputs("Usage: quorate COMMAND [options]\n\nCommands:\n", out);
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        for (const struct qr_ctl_cmd *c = groups[g]; c->name; c++) {
            fprintf(out, "  %-19s %s\n", c->name, c->doc);
        }
    }
    fputs("\nEvery command has --help and --json. Exit codes: 0; 64 wrong usage; 70 internal;\n"
          "75 try again; 77 refused; 78 a file is not valid.\n",
          out);
}

/* How many of the first words make up this name; 0: they do not. */
static int
words_of(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        size_t n = strcspn(name, " ");
        if (strlen(argv[i]) != n || memcmp(argv[i], name, n) != 0) {
            return 0;
        }
        if (name[n] == '\0') {
            return i;
        }
        name += n + 1;
    }
    return 0;
}

/* The command whose name the first words are; *ret_words of them. */
static const struct qr_ctl_cmd *
find(int argc, char **argv, int *ret_words)
{
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        for (const struct qr_ctl_cmd *c = groups[g]; c->name; c++) {
            *ret_words = words_of(c->name, argc, argv);
            if (*ret_words > 0) {
                return c;
            }
        }
    }
    return NULL;
}

static qr_err
start_libraries(void)
{
    if (sodium_init() < 0) {
        return QR_ERR_CRYPTO_LIB;
    }
    struct qr_rng rng = qr_rng_system();
    QR_TRY(qr_hash_init());
    QR_TRY(qr_group_init(&rng));
    return qr_stamp_init();
}

int
main(int argc, char **argv)
{
    struct qr_ctl c = {.tty_err = isatty(STDERR_FILENO)};
    const char *no_color = getenv("NO_COLOR");
    int words = 0;

    c.color = c.tty_err && (!no_color || !no_color[0]);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return QR_EXIT_INTERNAL;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? QR_EXIT_USAGE : QR_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("quorate %s (%s), protocol %d, boundary %u\n", QR_PRODUCT_VERSION, QR_BUILD_COMMIT,
               QR_PROTOCOL_VERSION, QR_BOUNDARY_VERSION);
        return QR_EXIT_OK;
    }
    const struct qr_ctl_cmd *cmd = find(argc, argv, &words);
    if (!cmd) {
        return qr_ctl_fail(&c, QR_EXIT_USAGE, "no command \"%s%s%s\"; see quorate --help", argv[1],
                           argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
    }
    qr_err e = start_libraries();
    if (e != QR_OK) {
        return qr_ctl_fail(&c, QR_EXIT_INTERNAL, "cannot start: %s", qr_err_text(e));
    }
    return cmd->run(&c, cmd, argc - 1 - words, argv + 1 + words);
}
