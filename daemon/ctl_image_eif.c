/* quorate image eif: enclave images are built, described and measured. */
#include "daemon/ctl.h"

#include "daemon/jsonw.h"
#include "enclave-shim/eif/eif_pcr.h"
#include "enclave-shim/eif/eif_sig.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#include <openssl/evp.h>

/* What AWS's own writer says of an image that nobody asked about; nitro-cli's options win. */
#define DEFAULT_MEM (1024ull * 1024ull * 1024ull)
#define DEFAULT_CPUS 2u

/* ---- image eif build ---- */

/* The files an image is made of, and the views of them in `e`. */
struct parts {
    struct qr_dbuf kernel, cmdline, metadata, cert, signature, ramdisk[QR_EIF_RAMDISKS];
    EVP_PKEY *key;
    struct qr_eif e;
};

static void
parts_free(struct parts *p)
{
    qr_dbuf_free(&p->kernel);
    qr_dbuf_free(&p->cmdline);
    qr_dbuf_free(&p->metadata);
    qr_dbuf_free(&p->cert);
    qr_dbuf_free(&p->signature);
    for (size_t i = 0; i < QR_EIF_RAMDISKS; i++) {
        qr_dbuf_free(&p->ramdisk[i]);
    }
    EVP_PKEY_free(p->key);
}

static int
part_read(const struct qr_ctl *c, const char *path, size_t max, struct qr_dbuf *d, qr_view *ret)
{
    int code = qr_ctl_read(c, path, max, d);

    if (code == QR_EXIT_OK) {
        *ret = qr_view_of(d->p, d->len);
    }
    return code;
}

struct build_opts {
    const char *kernel, *cmdline, *metadata, *name, *version, *arch, *out, *key, *cert;
    struct qr_ctl_list ramdisks;
};

/* Without --metadata: the members that AWS's tools want, and no date in them. */
static int
plain_metadata(const struct qr_ctl *c, const struct build_opts *o, struct qr_dbuf *d)
{
    qr_dbuf_init(d, QR_EIF_METADATA_MAX);
    struct qr_jsonw w = qr_jsonw_to(d);

    qr_jsonw_raw(&w, "{\"ImageName\":");
    qr_jsonw_str(&w, qr_view_str(o->name ? o->name : "quorate"));
    qr_jsonw_raw(&w, ",\"ImageVersion\":");
    qr_jsonw_str(&w, qr_view_str(o->version ? o->version : QR_PRODUCT_VERSION));
    qr_jsonw_raw(&w,
                 ",\"BuildMetadata\":{\"BuildTime\":\"1970-01-01T00:00:00+00:00\",\"BuildTool\":"
                 "\"quorate\",\"BuildToolVersion\":\"" QR_PRODUCT_VERSION
                 "\",\"OperatingSystem\":\"Unknown\",\"KernelVersion\":\"Unknown\"},"
                 "\"DockerInfo\":null,\"CustomMetadata\":null}");
    return w.err == QR_OK ? QR_EXIT_OK : qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
}

static int
read_parts(const struct qr_ctl *c, const struct build_opts *o, struct parts *p)
{
    int code = part_read(c, o->kernel, QR_EIF_MAX, &p->kernel, &p->e.kernel);

    p->e.default_mem = DEFAULT_MEM;
    p->e.default_cpus = DEFAULT_CPUS;
    p->e.cmdline = qr_view_str(o->cmdline);
    if (code == QR_EXIT_OK && o->metadata) {
        code = part_read(c, o->metadata, QR_EIF_METADATA_MAX, &p->metadata, &p->e.metadata);
    } else if (code == QR_EXIT_OK) {
        code = plain_metadata(c, o, &p->metadata);
        p->e.metadata = qr_view_of(p->metadata.p, p->metadata.len);
    }
    for (size_t i = 0; i < o->ramdisks.n && code == QR_EXIT_OK; i++) {
        code = part_read(c, o->ramdisks.v[i], QR_EIF_MAX, &p->ramdisk[i], &p->e.ramdisk[i]);
        p->e.n_ramdisk++;
    }
    return code;
}

static int
sign(const struct qr_ctl *c, const struct build_opts *o, struct parts *p)
{
    char err[QR_EIF_ERR_MAX] = "";
    uint8_t pcr0[QR_EIF_PCR];
    qr_view cert;

    int code = qr_ctl_load_key(c, o->key, &p->key);
    if (code == QR_EXIT_OK) {
        code = part_read(c, o->cert, QR_EIF_CERT_MAX, &p->cert, &cert);
    }
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_dbuf_init(&p->signature, QR_EIF_SIGNATURE_MAX);
    qr_err e = qr_eif_pcr0(&p->e, pcr0);
    if (e == QR_OK) {
        e = qr_eif_sig_write(p->key, cert, pcr0, &p->signature, err, sizeof err);
    }
    p->e.signature = qr_view_of(p->signature.p, p->signature.len);
    return e == QR_OK ? QR_EXIT_OK
                      : qr_ctl_fail(c, qr_ctl_code(e), "%s, %s: %s", o->key, o->cert,
                                    err[0] ? err : qr_err_text(e));
}

static void
put_pcr(struct qr_jsonw *w, const char *name, const uint8_t *pcr)
{
    qr_jsonw_raw(w, ",\"");
    qr_jsonw_raw(w, name);
    qr_jsonw_raw(w, "\":");
    qr_jsonw_hex(w, pcr, QR_EIF_PCR);
}

static void
line_pcr(const char *name, const uint8_t *pcr)
{
    char hex[2 * QR_EIF_PCR + 1];

    qr_hex_encode(qr_view_of(pcr, QR_EIF_PCR), hex);
    printf("%s %s\n", name, hex);
}

/* The values of a file, and of its parent where that was given, as lines or as one JSON object. */
static int
print_pcrs(const struct qr_ctl *c, const struct qr_eif_pcrs *p, const uint8_t *pcr3,
           const uint8_t *pcr4)
{
    struct qr_dbuf d;
    struct {
        const char *name, *path;
        const uint8_t *v;
    } rows[] = {{"PCR0", "pcrs.0", p->pcr0}, {"PCR1", "pcrs.1", p->pcr1},
                {"PCR2", "pcrs.2", p->pcr2}, {"PCR3", "pcrs.3", pcr3},
                {"PCR4", "pcrs.4", pcr4},    {"PCR8", "pcrs.8", p->has_pcr8 ? p->pcr8 : NULL}};

    if (!c->json) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            if (rows[i].v) {
                line_pcr(rows[i].name, rows[i].v);
            }
        }
        return QR_EXIT_OK;
    }
    qr_dbuf_init(&d, QR_EIF_METADATA_MAX);
    struct qr_jsonw w = qr_jsonw_to(&d);
    qr_jsonw_raw(&w, "{\"platform\":\"aws-nitro\"");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].v) {
            put_pcr(&w, rows[i].path, rows[i].v);
        }
    }
    qr_jsonw_raw(&w, "}");
    int code = w.err == QR_OK ? qr_ctl_emit(c, qr_view_of(d.p, d.len))
                              : qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    qr_dbuf_free(&d);
    return code;
}

static int
write_image(const struct qr_ctl *c, const struct build_opts *o, struct parts *p)
{
    char err[QR_EIF_ERR_MAX] = "";
    struct qr_eif_pcrs pcrs;
    struct qr_eif back;
    struct qr_dbuf image;

    qr_dbuf_init(&image, QR_EIF_MAX);
    qr_err e = qr_eif_write(&p->e, &image, err, sizeof err);
    if (e == QR_OK) {
        e = qr_eif_read(qr_view_of(image.p, image.len), &back, err, sizeof err);
    }
    if (e == QR_OK) {
        e = qr_eif_measure(&back, &pcrs);
    }
    int code = e == QR_OK ? qr_ctl_write(c, o->out, qr_view_of(image.p, image.len), 0644)
                          : qr_ctl_fail(c, qr_ctl_code(e), "%s", err[0] ? err : qr_err_text(e));
    qr_dbuf_free(&image);
    return code == QR_EXIT_OK ? print_pcrs(c, &pcrs, NULL, NULL) : code;
}

static int
eif_build(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct build_opts o = {0};
    struct qr_ctl_list rest;
    const struct qr_ctl_opt opts[] = {
        {"kernel", QR_CTL_TEXT, &o.kernel, "FILE", "x86_64: bzImage; arm64: Image", 1, 0},
        {"cmdline", QR_CTL_TEXT, &o.cmdline, "TEXT", "the kernel's command line", 1, 0},
        {"ramdisk", QR_CTL_MANY, &o.ramdisks, "FILE",
         "the first boots (PCR1), the others are the application (PCR2)", 1, 0},
        {"output", QR_CTL_TEXT, &o.out, "FILE", "the image; a new file", 1, 0},
        {"arch", QR_CTL_TEXT, &o.arch, "NAME", "x86_64, the default, or arm64", 0, 0},
        {"metadata", QR_CTL_TEXT, &o.metadata, "FILE", "a JSON object; not measured", 0, 0},
        {"name", QR_CTL_TEXT, &o.name, "TEXT", "without --metadata: the image's name", 0, 0},
        {"image-version", QR_CTL_TEXT, &o.version, "TEXT", "the same: its version", 0, 0},
        {"key", QR_CTL_TEXT, &o.key, "FILE", "sign PCR0 with this P-384 key; with --cert", 0, 0},
        {"cert", QR_CTL_TEXT, &o.cert, "FILE", "its certificate, PEM; PCR8 is over it", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, 0);
    if (code >= 0) {
        return code;
    }
    if (!o.key != !o.cert) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--key and --cert belong together");
    }
    if (strcmp(o.out, "-") == 0) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--output is a file: stdout has the measurements");
    }
    if (o.ramdisks.n > QR_EIF_RAMDISKS) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "at most %u ramdisks", QR_EIF_RAMDISKS);
    }
    if (o.arch && strcmp(o.arch, "arm64") != 0 && strcmp(o.arch, "x86_64") != 0) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--arch is x86_64 or arm64");
    }
    struct parts p = {0};
    p.e.arch = o.arch && strcmp(o.arch, "arm64") == 0 ? QR_EIF_ARM64 : QR_EIF_X86_64;
    code = read_parts(c, &o, &p);
    if (code == QR_EXIT_OK && o.key) {
        code = sign(c, &o, &p);
    }
    if (code == QR_EXIT_OK) {
        code = write_image(c, &o, &p);
    }
    parts_free(&p);
    return code;
}

/* ---- image eif measure ---- */

/* The caller frees d, whatever is returned. */
static int
image_read(const struct qr_ctl *c, const char *path, struct qr_dbuf *d, struct qr_eif *ret)
{
    char err[QR_EIF_ERR_MAX] = "";

    int code = qr_ctl_read(c, path, QR_EIF_MAX, d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_eif_read(qr_view_of(d->p, d->len), ret, err, sizeof err);
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", path, err[0] ? err : qr_err_text(e));
}

/*
 * A signature, where there is one, must be this image's: its values are about to be published. sig may
 * stay as it is when there is none.
 */
static int
check_signature(const struct qr_ctl *c, const char *path, const struct qr_eif *e,
                struct qr_eif_sig *sig)
{
    char err[QR_EIF_ERR_MAX] = "";
    uint8_t pcr0[QR_EIF_PCR];

    if (e->signature.len == 0) {
        return QR_EXIT_OK;
    }
    qr_err r = qr_eif_sig_read(e->signature, sig, err, sizeof err);
    if (r == QR_OK) {
        r = qr_eif_pcr0(e, pcr0);
    }
    if (r != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", path, err[0] ? err : qr_err_text(r));
    }
    if (!sig->valid) {
        return qr_ctl_fail(c, QR_EXIT_REFUSED, "%s: the signature is not by the certificate's key",
                           path);
    }
    if (memcmp(pcr0, sig->pcr0, sizeof pcr0) != 0) {
        return qr_ctl_fail(c, QR_EXIT_REFUSED,
                           "%s: the signature is good, but for another image's PCR0", path);
    }
    return QR_EXIT_OK;
}

static int
eif_measure(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *role = NULL, *id = NULL;
    struct qr_ctl_list rest;
    struct qr_eif e;
    struct qr_eif_sig sig;
    struct qr_eif_pcrs pcrs;
    struct qr_dbuf d = {0};
    uint8_t pcr3[QR_EIF_PCR], pcr4[QR_EIF_PCR];
    const struct qr_ctl_opt opts[] = {
        {"parent-role", QR_CTL_TEXT, &role, "ARN", "the parent's IAM role: PCR3 too", 0, 0},
        {"parent-id", QR_CTL_TEXT, &id, "ID", "the parent's instance id: PCR4 too", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = image_read(c, rest.v[0], &d, &e);
    if (code == QR_EXIT_OK) {
        code = check_signature(c, rest.v[0], &e, &sig);
    }
    if (code == QR_EXIT_OK) {
        qr_err r = qr_eif_measure(&e, &pcrs);
        if (r == QR_OK && role) {
            r = qr_eif_pcr_text(qr_view_str(role), pcr3);
        }
        if (r == QR_OK && id) {
            r = qr_eif_pcr_text(qr_view_str(id), pcr4);
        }
        code = r == QR_OK ? print_pcrs(c, &pcrs, role ? pcr3 : NULL, id ? pcr4 : NULL)
                          : qr_ctl_fail(c, qr_ctl_code(r), "%s", qr_err_text(r));
    }
    qr_dbuf_free(&d);
    return code;
}

/* ---- image eif describe ---- */

static void
json_sections(struct qr_jsonw *w, const struct qr_eif *e)
{
    qr_jsonw_raw(w, ",\"sections\":[");
    for (size_t i = 0; i < e->n_section; i++) {
        qr_jsonw_raw(w, i > 0 ? ",{\"type\":" : "{\"type\":");
        qr_jsonw_str(w, qr_view_str(qr_eif_type_name(e->section[i].type)));
        qr_jsonw_raw(w, ",\"offset\":");
        qr_jsonw_u64(w, e->section[i].offset);
        qr_jsonw_raw(w, ",\"size\":");
        qr_jsonw_u64(w, e->section[i].size);
        qr_jsonw_raw(w, "}");
    }
    qr_jsonw_raw(w, "]");
}

static void
json_describe(struct qr_jsonw *w, const struct qr_eif *e, const struct qr_eif_sig *sig)
{
    uint8_t crc[4];

    qr_put32(crc, e->crc);
    qr_jsonw_raw(w, "{\"version\":4,\"arch\":");
    qr_jsonw_str(w, qr_view_str(qr_eif_arch_name(e->arch)));
    qr_jsonw_raw(w, ",\"crc\":");
    qr_jsonw_hex(w, crc, sizeof crc);
    qr_jsonw_raw(w, ",\"cmdline\":");
    qr_jsonw_str(w, e->cmdline);
    json_sections(w, e);
    /* As text: what somebody else wrote into a file is not made part of our own document. */
    qr_jsonw_raw(w, ",\"metadata\":");
    qr_jsonw_str(w, e->metadata);
    if (e->signature.len > 0) {
        qr_jsonw_raw(w, ",\"signer\":{\"subject\":");
        qr_jsonw_str(w, qr_view_str(sig->subject));
        qr_jsonw_raw(w, ",\"not_before_ms\":");
        qr_jsonw_u64(w, sig->from_ms > 0 ? (uint64_t)sig->from_ms : 0);
        qr_jsonw_raw(w, ",\"not_after_ms\":");
        qr_jsonw_u64(w, sig->until_ms > 0 ? (uint64_t)sig->until_ms : 0);
        qr_jsonw_raw(w, "}");
    }
    qr_jsonw_raw(w, "}");
}

/* Text from a file, as it is safe on a terminal. */
static void
print_text(const char *label, qr_view v)
{
    char piece[8];
    size_t n = 0;

    printf("%-10s ", label);
    for (size_t i = 0; i < v.len;) {
        i += qr_json_escape(v, i, piece, &n);
        fwrite(piece, 1, n, stdout);
    }
    putchar('\n');
}

static void
print_describe(const struct qr_eif *e, const struct qr_eif_sig *sig)
{
    printf("%-10s EIF version %u, %s, CRC %08x\n", "format", QR_EIF_VERSION,
           qr_eif_arch_name(e->arch), (unsigned)e->crc);
    print_text("cmdline", e->cmdline);
    print_text("metadata", e->metadata);
    for (size_t i = 0; i < e->n_section; i++) {
        printf("%-10s %-9s %10llu bytes at %llu\n", i == 0 ? "sections" : "",
               qr_eif_type_name(e->section[i].type), (unsigned long long)e->section[i].size,
               (unsigned long long)e->section[i].offset);
    }
    if (e->signature.len > 0) {
        print_text("signer", qr_view_str(sig->subject));
        printf("%-10s good, over this image's PCR0\n", "signature");
    } else {
        printf("%-10s none\n", "signature");
    }
}

static int
eif_describe(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct qr_ctl_list rest;
    struct qr_eif e;
    struct qr_eif_sig sig;
    struct qr_dbuf d = {0}, out;
    const struct qr_ctl_opt opts[] = {{.kind = QR_CTL_END}};

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = image_read(c, rest.v[0], &d, &e);
    if (code == QR_EXIT_OK) {
        code = check_signature(c, rest.v[0], &e, &sig);
    }
    if (code == QR_EXIT_OK && !c->json) {
        print_describe(&e, &sig);
    } else if (code == QR_EXIT_OK) {
        qr_dbuf_init(&out, 8u * QR_EIF_METADATA_MAX);
        struct qr_jsonw w = qr_jsonw_to(&out);
        json_describe(&w, &e, &sig);
        code = w.err == QR_OK ? qr_ctl_emit(c, qr_view_of(out.p, out.len))
                              : qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
        qr_dbuf_free(&out);
    }
    qr_dbuf_free(&d);
    return code;
}

const struct qr_ctl_cmd qr_ctl_image_eif_cmds[] = {
    {"image eif build", "", "Make a Nitro enclave's image; prints its measurements.", eif_build},
    {"image eif describe", "FILE", "Check an enclave image and show what is in it.", eif_describe},
    {"image eif measure", "FILE", "Print the PCRs an enclave started from it will report.",
     eif_measure},
    {.name = NULL},
};
