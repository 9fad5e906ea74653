/* quorate image uki: the registers of a machine that boots a confidential VM's image. */
#include "daemon/ctl.h"

#include "daemon/jsonw.h"
#include "daemon/uki.h"
#include "protocol/base/enc.h"

struct firmware_files {
    const char *pk, *kek, *db, *dbx, *authority;
    struct qr_dbuf text[5];
};

/* The caller frees text, whatever is returned. */
static int
firmware_read(const struct qr_ctl *c, struct firmware_files *o, struct qr_uki_firmware *ret)
{
    const char *const path[] = {o->pk, o->kek, o->db, o->dbx, o->authority};
    qr_view *const to[] = {&ret->pk, &ret->kek, &ret->db, &ret->dbx, &ret->authority};
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        if (!path[i]) {
            continue;
        }
        int code = qr_ctl_read(c, path[i], QR_UKI_VAR_MAX, &o->text[i]);
        if (code != QR_EXIT_OK) {
            return code;
        }
        *to[i] = qr_view_of(o->text[i].p, o->text[i].len);
    }
    if (ret->secure_boot && (!o->pk || !o->kek || !o->db || !o->authority)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "--secure-boot needs --pk, --kek, --db and --authority: what the "
                           "firmware will have");
    }
    return QR_EXIT_OK;
}

/* The members of a measurement in a manifest, or lines for people. */
static int
print(const struct qr_ctl *c, const struct qr_uki_pcrs *p)
{
    static const char *const names[] = {"4", "7", "9", "11", "12"};
    const uint8_t *const value[] = {p->pcr4, p->pcr7, p->pcr9, p->pcr11, p->pcr12};
    char hex[2 * QR_UKI_PCR + 1];
    struct qr_dbuf d;

    qr_dbuf_init(&d, 4096);
    struct qr_jsonw w = qr_jsonw_to(&d);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (c->json) {
            qr_jsonw_raw(&w, i ? ",\"quote.pcrs." : "{\"quote.pcrs.");
            qr_jsonw_raw(&w, names[i]);
            qr_jsonw_raw(&w, "\":");
            qr_jsonw_hex(&w, value[i], QR_UKI_PCR);
        } else {
            qr_hex_encode(qr_view_of(value[i], QR_UKI_PCR), hex);
            printf("PCR%-3s %s\n", names[i], hex);
        }
    }
    int code = QR_EXIT_OK;
    if (c->json) {
        qr_jsonw_raw(&w, "}");
        code = w.err == QR_OK ? qr_ctl_emit(c, qr_view_of(d.p, d.len))
                              : qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    qr_dbuf_free(&d);
    return code;
}

static int
uki_measure(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct firmware_files o = {0};
    struct qr_uki_firmware f = {0};
    struct qr_uki_pcrs pcrs;
    struct qr_ctl_list rest;
    struct qr_uki u;
    struct qr_dbuf d = {0};
    char err[QR_UKI_ERR_MAX] = "";
    const struct qr_ctl_opt opts[] = {
        {"secure-boot", QR_CTL_FLAG, &f.secure_boot, NULL, "the firmware checks signatures", 0, 0},
        {"pk", QR_CTL_TEXT, &o.pk, "FILE", "its platform key, an EFI signature list", 0, 0},
        {"kek", QR_CTL_TEXT, &o.kek, "FILE", "its key exchange keys", 0, 0},
        {"db", QR_CTL_TEXT, &o.db, "FILE", "its list of keys that programs may be signed by", 0, 0},
        {"dbx", QR_CTL_TEXT, &o.dbx, "FILE", "its list of what may not run", 0, 0},
        {"authority", QR_CTL_TEXT, &o.authority, "FILE",
         "the entry of db that the image is signed by: owner and certificate", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = firmware_read(c, &o, &f);
    if (code == QR_EXIT_OK) {
        code = qr_ctl_read(c, rest.v[0], QR_UKI_MAX, &d);
    }
    if (code == QR_EXIT_OK) {
        qr_err e = qr_uki_read(qr_view_of(d.p, d.len), &u, err);
        if (e == QR_OK) {
            e = qr_uki_measure(&u, &f, &pcrs, err);
        }
        code = e == QR_OK ? print(c, &pcrs)
                          : qr_ctl_fail(c, qr_ctl_code(e), "%s: %s", rest.v[0],
                                        err[0] ? err : qr_err_text(e));
    }
    for (size_t i = 0; i < sizeof o.text / sizeof o.text[0]; i++) {
        qr_dbuf_free(&o.text[i]);
    }
    qr_dbuf_free(&d);
    return code;
}

const struct qr_ctl_cmd qr_ctl_image_uki_cmds[] = {
    {"image uki measure", "FILE", "Print the PCRs that a machine started from this image has.",
     uki_measure},
    {.name = NULL},
};
