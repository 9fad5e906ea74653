/*
 * Domains: what could fail together. Vendor and product are what the verifier read from signed
 * bytes; cloud is, where a cloud signs something; operator is the roster's word.
 */
#include "enclave-shim/verify/peers_int.h"

#include "protocol/base/enc.h"

#include <stdio.h>

static const char *const clouds[] = {"aws", "azure", "gcp"};
#define CLOUDS (sizeof clouds / sizeof clouds[0])

/* A cloud, and whatever the roster adds to it: "aws", "aws-eu-west-1". */
static const char *
known_cloud(const char *declared)
{
    for (size_t i = 0; i < CLOUDS; i++) {
        size_t n = strlen(clouds[i]);
        if (strncmp(declared, clouds[i], n) == 0 &&
            (declared[n] == 0 || declared[n] == '-' || declared[n] == '.' || declared[n] == '_')) {
            return clouds[i];
        }
    }
    return NULL;
}

static int
contains(qr_view v, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= v.len; i++) {
        if (memcmp(v.p + i, text, n) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The cloud that evidence shows, or NULL. */
static const char *
shown_cloud(const struct qr_peers_judging *j)
{
    unsigned k = QR_KIND_MASK(j->s->kind);
    qr_view csp;

    if (j->s->kind == QR_EV_NITRO) {
        return "aws";
    }
    if (k & QR_KINDS_AZURE) {
        return "azure";
    }
    if (k & QR_KINDS_GCP) {
        return "gcp";
    }
    /* A VLEK names the provider that AMD gave it to. */
    if (qr_claim_get_text(&j->v->claims, "vek_extensions.cspID", &csp)) {
        return contains(csp, "amazonaws.com") ? "aws"
               : contains(csp, "google")      ? "gcp"
               : contains(csp, "azure")       ? "azure"
                                              : NULL;
    }
    return NULL;
}

static void
set_vendor(const struct qr_peers_judging *j, struct qr_peers_domain *d)
{
    unsigned k = QR_KIND_MASK(j->s->kind);
    qr_view v;

    if (j->s->kind == QR_EV_NITRO) {
        (void)snprintf(d->vendor, sizeof d->vendor, "aws");
        (void)snprintf(d->product, sizeof d->product, "nitro");
    } else if (k & QR_KINDS_SNP) {
        (void)snprintf(d->vendor, sizeof d->vendor, "amd");
        if (qr_claim_get_text(&j->v->claims, "product", &v) && v.len < sizeof d->product) {
            for (size_t i = 0; i < v.len; i++) {
                uint8_t c = v.p[i];
                d->product[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
            }
        }
    } else if (k & QR_KINDS_INTEL) {
        (void)snprintf(d->vendor, sizeof d->vendor, "intel");
        if (qr_claim_get_hex(&j->v->claims, "pck.fmspc", &v) && v.len == 6) {
            memcpy(d->product, "intel-", 6);
            qr_hex_encode(v, d->product + 6);
        }
    }
}

qr_err
qr_peers_domain_of(const struct qr_peers_judging *j, const struct qr_peers_who *who,
                   struct qr_peers_domain *ret)
{
    const char *declared = who && who->cloud ? who->cloud : "";
    const char *known = known_cloud(declared), *shown = j->s ? shown_cloud(j) : NULL;

    *ret = (struct qr_peers_domain){.index = who ? who->index : 0};
    (void)snprintf(ret->operator_name, sizeof ret->operator_name, "%s",
                   who && who->operator_name ? who->operator_name : "");
    if (shown && declared[0] && (!known || strcmp(known, shown) != 0)) {
        char expected[64], q[QR_QUOTE_MAX];
        (void)snprintf(expected, sizeof expected, "cloud %s, as the roster says",
                       qr_quote(q, qr_view_str(declared)));
        return qr_peers_refuse(j, QR_CHECK_POLICY, QR_REASON_IDENTITY_MISMATCH, "cloud", j->s->line,
                               expected, shown);
    }
    (void)snprintf(ret->cloud, sizeof ret->cloud, "%s", shown ? shown : known ? known : declared);
    if (j->s) {
        set_vendor(j, ret);
    } else {
        (void)snprintf(ret->vendor, sizeof ret->vendor, "sim");
        (void)snprintf(ret->product, sizeof ret->product, "sim");
    }
    return QR_OK;
}

/* ---- the quorum ---- */

static const char *
axis_of(const struct qr_peers_domain *d, int axis)
{
    switch (axis) {
    case QR_AXIS_CLOUD:
        return d->cloud;
    case QR_AXIS_OPERATOR:
        return d->operator_name;
    case QR_AXIS_VENDOR:
        return d->vendor;
    default:
        return d->product;
    }
}

static unsigned
number_of(const struct qr_peers_domain *d, size_t i)
{
    return d[i].index ? d[i].index : (unsigned)i + 1;
}

qr_err
qr_peers_quorum(const struct qr_peers *p, const struct qr_peers_domain *d, size_t n, char *err_text,
                size_t err_cap)
{
    for (int axis = 0; axis < QR_AXES; axis++) {
        const struct qr_peers_limit *l = &p->limit[axis];
        for (size_t i = 0; l->most > 0 && i < n; i++) {
            const char *name = axis_of(&d[i], axis);
            char who[128] = "", q[QR_QUOTE_MAX];
            size_t count = 0, len = 0;
            if (!name[0]) {
                if (err_text) {
                    (void)snprintf(err_text, err_cap,
                                   "rule quorum.max_per_%s at line %u: expected a %s for member "
                                   "%u, found none in its evidence or in the roster",
                                   qr_peers_axis_name[axis], l->line, qr_peers_axis_name[axis],
                                   number_of(d, i));
                }
                return QR_ERR_ATTESTATION;
            }
            for (size_t k = 0; k < n; k++) {
                if (strcmp(axis_of(&d[k], axis), name) != 0) {
                    continue;
                }
                count++;
                int m = len < sizeof who ? snprintf(who + len, sizeof who - len, "%s%u",
                                                    len ? ", " : "", number_of(d, k))
                                         : 0;
                len += m > 0 ? (size_t)m : 0;
            }
            if (count > l->most) {
                if (err_text) {
                    (void)snprintf(err_text, err_cap,
                                   "rule quorum.max_per_%s at line %u: expected at most %u of %s, "
                                   "found %zu: members %s",
                                   qr_peers_axis_name[axis], l->line, (unsigned)l->most,
                                   qr_quote(q, qr_view_str(name)), count, who);
                }
                return QR_ERR_ATTESTATION;
            }
        }
    }
    return QR_OK;
}
