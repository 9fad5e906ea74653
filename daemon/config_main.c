/* The command line that quorated and quorate-gateway share. */
#include "build_info.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "proto/boundary.h"

#include <getopt.h>

struct role {
    const char *program, *file, *what;
};

static const struct role roles[] = {
    [QR_CONFIG_PARTY] = {"quorated", "/etc/quorate/quorated.conf", "a party"},
    [QR_CONFIG_GATEWAY] = {"quorate-gateway", "/etc/quorate/gateway.conf",
                           "the HTTP side of a party"},
};

static void
usage(const struct role *r, FILE *out)
{
    fprintf(out,
            "Usage: %s [--config FILE] [--check-config]\n"
            "       %s --print-default-config | --version | --help\n\n"
            "Runs %s.\n\n"
            "  -c, --config FILE         configuration (default %s)\n"
            "      --check-config        print the effective configuration and exit 0, or 78\n"
            "      --print-default-config\n"
            "  -V, --version\n"
            "  -h, --help\n",
            r->program, r->program, r->what, r->file);
}

int
qr_config_main(enum qr_config_role role, int argc, char **argv, void *ret)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, 'k'},
        {"print-default-config", no_argument, NULL, 'p'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const struct role *r = &roles[role];
    const char *path = r->file;
    char err[768];
    int check = 0, c;

    optind = 1;
    while ((c = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            check = 1;
            break;
        case 'p':
            qr_config_print(role, NULL, stdout);
            return QR_EXIT_OK;
        case 'V':
            printf("%s %s (%s), protocol %d, boundary %u\n", r->program, QR_PRODUCT_VERSION,
                   QR_BUILD_COMMIT, QR_PROTOCOL_VERSION, QR_BOUNDARY_VERSION);
            return QR_EXIT_OK;
        case 'h':
            usage(r, stdout);
            return QR_EXIT_OK;
        default:
            usage(r, stderr);
            return QR_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected argument \"%s\"\n", r->program, argv[optind]);
        usage(r, stderr);
        return QR_EXIT_USAGE;
    }
    if (qr_config_load(role, path, ret, err, sizeof err) != QR_OK) {
        fprintf(stderr, "%s: %s\n", r->program, err);
        return QR_EXIT_CONFIG;
    }
    if (check) {
        qr_config_print(role, ret, stdout);
        return QR_EXIT_OK;
    }
    const struct qr_config_party *p = ret;
    const struct qr_config_gateway *g = ret;
    if (role == QR_CONFIG_PARTY) {
        qr_log_init((enum qr_log_level)p->log.level, (enum qr_log_format)p->log.format);
    } else {
        qr_log_init((enum qr_log_level)g->log.level, (enum qr_log_format)g->log.format);
    }
    return -1;
}
