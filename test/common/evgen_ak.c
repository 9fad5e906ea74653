/* Certificates of vTPM keys. */
#include "test/common/evgen_tpm.h"

#include "protocol/base/check.h"

#define GOOGLE_INSTANCE "1.3.6.1.4.1.11129.2.1.21"
#define OID_SKI "2.5.29.14"
#define OID_AKI "2.5.29.35"
#define OID_EKU "2.5.29.37"

/* keyIdentifier of a key: the first 20 bytes of its point's or modulus' hash, as good as any. */
static void
key_id(EVP_PKEY *k, uint8_t out[static 20])
{
    uint8_t raw[512], h[32];
    size_t n = EVP_PKEY_is_a(k, "RSA") ? evgen_key_modulus(k, raw) : evgen_key_xy(k, raw);
    evgen_sha256(qr_view_of(raw, n), h);
    memcpy(out, h, 20);
}

void
evak_put_instance(struct evgen_buf *b, const struct evak_instance *i)
{
    uint8_t mem[400], sec[64], one[24];
    struct evgen_buf seq = evgen_buf_over(mem, sizeof mem), s = evgen_buf_over(sec, sizeof sec), o;

    evgen_der_put(&seq, 0x0c, qr_view_str(i->zone));
    evgen_der_put_uint(&seq, i->number);
    evgen_der_put(&seq, 0x0c, qr_view_str(i->project));
    evgen_der_put_uint(&seq, i->id);
    evgen_der_put(&seq, 0x0c, qr_view_str(i->name));
    if (i->has_security) {
        o = evgen_buf_over(one, sizeof one);
        evgen_der_put_uint(&o, i->security_version);
        evgen_der_put(&s, 0xa0, evgen_buf_view(&o));
        o.len = 0;
        evgen_der_put(&o, 0x01, qr_view_of(&i->is_production, 1));
        evgen_der_put(&s, 0xa1, evgen_buf_view(&o));
        o.len = 0;
        evgen_der_put(&o, 0x01, qr_view_of("\xff", 1));
        evgen_der_put(&s, 0xa2, evgen_buf_view(&o));
        uint8_t wrap[80];
        struct evgen_buf w = evgen_buf_over(wrap, sizeof wrap);
        evgen_der_put(&w, 0x30, evgen_buf_view(&s));
        evgen_der_put(&seq, 0xa0, evgen_buf_view(&w));
    }
    evgen_der_put(b, 0x30, evgen_buf_view(&seq));
}

void
evak_init(struct evak *a, enum qr_vendor_root vendor, EVP_PKEY *ak)
{
    int google = vendor == QR_ROOT_GOOGLE_VTPM;
    EVP_PKEY *root = evgen_key(EVGEN_RSA2048, 0), *inter = evgen_key(EVGEN_RSA2048, 1);
    const char *root_name = google ? "C=US,O=Google LLC,CN=EK/AK CA Root"
                                   : "C=US,O=Microsoft Corporation,CN=Azure Virtual TPM Root";
    const char *inter_name =
        google ? "C=US,O=Google LLC,CN=EK/AK CA Intermediate" : "CN=Global Virtual TPM CA - 01";

    *a = (struct evak){.vendor = vendor};
    a->root_spec = evgen_cert_spec_of(root_name, root, root_name, root, 1);
    a->inter_spec = evgen_cert_spec_of(inter_name, inter, root_name, root, 1);
    a->leaf_spec = evgen_cert_spec_of(google ? "L=us-central1-c,O=Google Compute Engine,CN=4711"
                                             : "CN=ab12.ConfidentialVM.Azure.Microsoft",
                                      ak, inter_name, inter, 0);
    a->root_spec.sig = a->inter_spec.sig = a->leaf_spec.sig = EVGEN_RSA_SHA256;
    if (google) {
        struct evgen_buf b = evgen_buf_over(a->instance, sizeof a->instance);
        evak_put_instance(&b, &(struct evak_instance){
                                  .zone = "us-central1-c",
                                  .project = "a-project",
                                  .name = "a-party",
                                  .number = 260347345489,
                                  .id = 7885236546812373301,
                                  .has_security = 1,
                                  .is_production = 0xff,
                              });
        a->instance_len = b.len;
    } else {
        struct evgen_buf b = evgen_buf_over(a->eku, sizeof a->eku), in;
        uint8_t mem[48];
        in = evgen_buf_over(mem, sizeof mem);
        evgen_der_put_oid(&in, "1.3.6.1.4.1.311.10.3.12");
        evgen_der_put_oid(&in, "2.23.133.8.3");
        evgen_der_put(&b, 0x30, evgen_buf_view(&in));
        a->eku_len = b.len;
    }
}

void
evak_build(struct evak *a)
{
    struct evgen_cert_spec inter = a->inter_spec, leaf = a->leaf_spec;
    uint8_t id[20];
    struct evgen_buf ski = evgen_buf_over(a->inter_ski, sizeof a->inter_ski);
    struct evgen_buf aki = evgen_buf_over(a->leaf_aki, sizeof a->leaf_aki);

    if (!a->no_ids) {
        key_id(inter.key, id);
        evgen_der_put(&ski, 0x04, qr_view_of(id, sizeof id));
        evgen_spec_add_ext(&inter, OID_SKI, evgen_buf_view(&ski), 0);
        uint8_t mem[32];
        struct evgen_buf in = evgen_buf_over(mem, sizeof mem);
        key_id(leaf.signer, id);
        evgen_der_put(&in, 0x80, qr_view_of(id, sizeof id));
        evgen_der_put(&aki, 0x30, evgen_buf_view(&in));
        evgen_spec_add_ext(&leaf, OID_AKI, evgen_buf_view(&aki), 0);
    }
    if (a->instance_len > 0) {
        evgen_spec_add_ext(&leaf, GOOGLE_INSTANCE, qr_view_of(a->instance, a->instance_len), 0);
    }
    if (a->eku_len > 0) {
        evgen_spec_add_ext(&leaf, OID_EKU, qr_view_of(a->eku, a->eku_len), 0);
    }
    evgen_cert(&a->root_spec, &a->root);
    evgen_cert(&inter, &a->inter);
    evgen_cert(&leaf, &a->leaf);
}

void
evak_add(const struct evak *a, struct qr_evidence *e)
{
    evtpm_swap(e, QR_PART_AK_CERT, 0, evgen_view(&a->leaf));
    evtpm_swap(e, QR_PART_AK_INTERMEDIATE, 0, evgen_view(&a->inter));
    evtpm_swap(e, QR_PART_AK_ROOT, 0, evgen_view(&a->root));
}

void
evak_pin(const struct evak *a, struct qr_roots *r)
{
    evgen_pin(r, a->vendor, &a->root);
}
