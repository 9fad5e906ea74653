/*
 * Nitro documents. The first byte chooses: a document alone; a payload alone, signed by the throwaway
 * leaf; a genuine document with changed bytes; a genuine payload with members changed, signed again.
 *
 * Beyond "no crash": a refusal is a printable sentence; claims print; a document whose bytes were
 * changed is accepted only with the payload and signature that were made; one that is signed again only
 * with no mandatory member twice and, when a binder was asked for, with that binder as nonce.
 */
#include "enclave-shim/verify/nitro_doc.h"
#include "enclave-shim/verify/verify.h"
#include "test/common/evgen_nitro.h"
#include "test/fuzz/kit.h"

enum { DOCUMENT, PAYLOAD, CHANGED, SIGNED_AGAIN, MODES };

static struct qr_roots roots;
static struct evnitro genuine, d;
static struct qr_verdict v;
static char json[65536];
static const uint8_t binder[32] = {0x42, 1};

static qr_err
judge(qr_view doc, int bind, int timed)
{
    struct qr_evidence e = {.kind = QR_EV_NITRO};
    struct qr_verify_opts o = {.roots = &roots, .now_ms = timed ? EVGEN_NOW_MS : -1};
    size_t n = 0;

    if (bind) {
        o.binder = qr_view_of(binder, sizeof binder);
    }
    if (qr_evidence_add(&e, QR_PART_NITRO_DOCUMENT, 0, doc) != QR_OK) {
        return QR_ERR_ATTESTATION;
    }
    qr_err err = qr_verify(&e, &o, &v, NULL);
    FUZZ_MUST((err == QR_OK) == (v.reason == QR_REASON_NONE));
    FUZZ_MUST(err == QR_OK || (err == QR_ERR_ATTESTATION && v.sentence[0] != 0 &&
                               v.check[v.failed] == QR_CHECK_FAIL));
    fuzz_text(v.sentence, sizeof v.sentence);
    FUZZ_MUST(qr_claims_json(&v.claims, json, sizeof json, &n) == QR_OK && json[n] == 0);
    return err;
}

static void
start(void)
{
    if (genuine.doc.len > 0) {
        return;
    }
    evnitro_init(&genuine);
    genuine.nonce = qr_view_of(binder, sizeof binder);
    evnitro_build(&genuine);
    evgen_pin(&roots, QR_ROOT_AWS_NITRO, &genuine.cert[EVNITRO_ROOT]);
    FUZZ_MUST(judge(evnitro_doc(&genuine), 1, 1) == QR_OK);
}

static void
sign_payload(void)
{
    static uint8_t mem[EVNITRO_DOC_MAX];
    struct evgen_buf tbs = evgen_buf_over(mem, sizeof mem);
    evnitro_sig_structure(&d, "Signature1", &tbs);
    d.sig_len = evgen_sign_raw(d.key, QR_SHA384, evgen_buf_view(&tbs), d.sig);
    evnitro_wrap(&d);
}

/* Offset, count of bytes, what to xor them with. */
static void
changed(struct fuzz_in *in)
{
    static uint8_t doc[EVNITRO_DOC_MAX];
    struct qr_nitro_doc was, is;
    size_t n = genuine.doc.len;

    memcpy(doc, genuine.doc.p, n);
    while (in->len > 0) {
        uint16_t at = fuzz_u16(in);
        qr_view x = fuzz_take(in, 1u + fuzz_u8(in) % 8u);
        for (size_t i = 0; i < x.len; i++) {
            doc[(at + i) % n] ^= x.p[i];
        }
    }
    if (judge(qr_view_of(doc, n), 1, 1) == QR_OK) {
        qr_verdict_init(&v);
        FUZZ_MUST(qr_nitro_parse(evnitro_doc(&genuine), &v, &was) == QR_OK);
        FUZZ_MUST(qr_nitro_parse(qr_view_of(doc, n), &v, &is) == QR_OK);
        FUZZ_MUST(qr_view_eq(was.payload_item, is.payload_item));
        FUZZ_MUST(qr_view_eq(was.signature, is.signature));
    }
}

/* How often a name stands among the members. */
static size_t
times(const char *name)
{
    size_t n = 0;
    qr_view key = evnitro_text(&d, name);
    for (size_t i = 0; i < d.n_members; i++) {
        n += qr_view_eq(d.member[i].key, key) ? 1 : 0;
    }
    return n;
}

static void
add_member(size_t len)
{
    if (len > 0) {
        size_t at = evnitro_item_begin(&d);
        evcbor_head(&d.arena, EVCBOR_BYTES, len);
        evgen_fill(&d.arena, 0x55, len);
        evnitro_add(&d, evnitro_text(&d, "later"), evnitro_item_end(&d, at));
    }
}

/* Form, then for each change: member and action, then its bytes. */
static void
signed_again(struct fuzz_in *in)
{
    static const char *const mandatory[] = {"module_id", "digest",      "timestamp",
                                            "pcrs",      "certificate", "cabundle"};
    uint8_t form = fuzz_u8(in);

    evnitro_init(&d);
    d.nonce = qr_view_of(binder, sizeof binder);
    d.indefinite = form & 1;
    d.tag = form & 2 ? 18 : -1;
    memcpy(d.cert, genuine.cert, sizeof d.cert);
    d.leaf = genuine.leaf;
    d.n_bundle = genuine.n_bundle;
    memcpy(d.bundle, genuine.bundle, sizeof d.bundle);
    evnitro_payload(&d);
    /* What would make a seed large: a payload, a document, a number of members above the bounds. */
    add_member(form & 16 ? 12800 : form & 32 ? 14000 : 0);
    for (char name[2] = "a"; form & 64 && name[0] <= 'z'; name[0]++) {
        evnitro_add(&d, evnitro_text(&d, name), qr_view_str("\x01"));
    }
    while (in->len > 0 && d.n_members > 0 && d.n_members < EVNITRO_MEMBERS) {
        uint8_t what = fuzz_u8(in);
        struct evnitro_member *m = &d.member[(what >> 2) % d.n_members];
        qr_view bytes = fuzz_bytes(in);
        switch (what & 3) {
        case 0:
            m->value = bytes;
            break;
        case 1:
            m->key = bytes;
            break;
        case 2:
            evnitro_add(&d, m->key, bytes.len > 0 ? bytes : m->value);
            break;
        default:
            d.n_members--;
            memmove(m, m + 1, (size_t)(d.member + d.n_members - m) * sizeof *m);
            break;
        }
    }
    evnitro_sign(&d);
    if (judge(evnitro_doc(&d), form & 4, !(form & 8)) == QR_OK && d.n_members <= QR_NITRO_KEYS) {
        for (size_t i = 0; i < sizeof mandatory / sizeof mandatory[0]; i++) {
            FUZZ_MUST(times(mandatory[i]) <= 1);
        }
        qr_view nonce;
        FUZZ_MUST(!(form & 4) || (qr_claim_get_hex(&v.claims, "nonce", &nonce) &&
                                  qr_view_eq(nonce, qr_view_of(binder, sizeof binder))));
        FUZZ_MUST(v.check[QR_CHECK_SIGNATURE] == QR_CHECK_PASS);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start();
    unsigned mode = fuzz_choice(&data, &size, MODES);
    struct fuzz_in in = fuzz_in_of(data, size);
    switch (mode) {
    case DOCUMENT:
        /* the throwaway root's certificate is another in every run */
        FUZZ_MUST(judge(qr_view_of(data, size), 0, 1) != QR_OK);
        break;
    case PAYLOAD:
        if (size > QR_NITRO_DOC_MAX) {
            break;
        }
        evnitro_init(&d);
        evgen_put_view(&d.payload, qr_view_of(data, size));
        sign_payload();
        FUZZ_MUST(judge(evnitro_doc(&d), 0, 1) != QR_OK);
        break;
    case CHANGED:
        changed(&in);
        break;
    default:
        signed_again(&in);
        break;
    }
    return 0;
}
