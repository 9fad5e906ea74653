#include "transport/ledger.h"

#include "protocol/base/check.h"

#include <string.h>

/* Types are numbered by what they are for (msg_t.h). */
enum qr_class
qr_msg_class(enum qr_msg type)
{
    if (type < QR_MSG_DKG1) {
        return QR_CLASSES_SETUP;
    }
    if (type < QR_MSG_PRESIGN1) {
        return QR_CLASSES_KEYGEN;
    }
    if (type < QR_MSG_SIGN_REQUEST) {
        return QR_CLASSES_PRESIGN;
    }
    return type == QR_MSG_SIGN_REQUEST || type == QR_MSG_SIGN_SHARE ? QR_CLASSES_ONLINE
                                                                    : QR_CLASSES_CONTROL;
}

const char *
qr_class_name(enum qr_class c)
{
    static const char *const names[QR_CLASSES_COUNT] = {
        [QR_CLASSES_HANDSHAKE] = "handshake", [QR_CLASSES_SETUP] = "setup",
        [QR_CLASSES_KEYGEN] = "keygen",       [QR_CLASSES_PRESIGN] = "presign",
        [QR_CLASSES_ONLINE] = "online",       [QR_CLASSES_CONTROL] = "control",
        [QR_CLASSES_OVERHEAD] = "overhead",
    };
    return (unsigned)c < QR_CLASSES_COUNT ? names[c] : "unknown";
}

const char *
qr_link_kind_name(enum qr_link_kind k)
{
    static const char *const names[QR_LINK_KINDS] = {"loopback", "intra", "cross"};
    return (unsigned)k < QR_LINK_KINDS ? names[k] : "unknown";
}

enum qr_link_kind
qr_link_kind_of(const char *address, const char *cloud_a, const char *cloud_b)
{
    static const char *const local[] = {"tcp://127.", "tcp://localhost:", "tcp://[::1]:", "unix://",
                                        "mem://"};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        if (strncmp(address, local[i], strlen(local[i])) == 0) {
            return QR_LINK_LOOPBACK;
        }
    }
    return cloud_a[0] && strcmp(cloud_a, cloud_b) == 0 ? QR_LINK_INTRA : QR_LINK_CROSS;
}

uint64_t
qr_ledger_wire(const struct qr_ledger_peer *p, enum qr_dir d)
{
    uint64_t sum = 0;
    for (size_t c = 0; c < QR_CLASSES_COUNT; c++) {
        sum += p->class_[c].wire[d];
    }
    return sum;
}

void
qr_ledger_merge(struct qr_ledger_peer *to, const struct qr_ledger_peer *from)
{
    for (size_t d = 0; d < QR_DIRS; d++) {
        for (size_t c = 0; c < QR_CLASSES_COUNT; c++) {
            to->class_[c].raw[d] += from->class_[c].raw[d];
            to->class_[c].wire[d] += from->class_[c].wire[d];
            to->class_[c].messages[d] += from->class_[c].messages[d];
        }
        to->tcpip_estimate[d] += from->tcpip_estimate[d];
        to->frames[d] += from->frames[d];
    }
    to->connects += from->connects;
    to->resumes += from->resumes;
    to->duplicates += from->duplicates;
}

void
qr_ledger_tcpip(struct qr_ledger_peer *p, enum qr_dir d, size_t n)
{
    size_t segments = (n + QR_TCPIP_MSS - 1) / QR_TCPIP_MSS;
    p->tcpip_estimate[d] += segments * QR_TCPIP_HEADER;
    p->tcpip_estimate[d == QR_DIR_OUT ? QR_DIR_IN : QR_DIR_OUT] +=
        (segments + 1) / 2 * QR_TCPIP_HEADER;
}

void
qr_ledger_in(struct qr_ledger_peer *p, enum qr_class c, size_t n)
{
    QR_ASSERT(p->class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_IN] >= n);
    p->class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_IN] -= n;
    p->class_[c].wire[QR_DIR_IN] += n;
}

void
qr_tally_add(struct qr_tally *t, size_t cipher, const size_t by_class[static QR_CLASSES_COUNT])
{
    unsigned at;

    if (cipher == 0) {
        return;
    }
    if (t->n < QR_TALLY_SPANS) {
        at = (t->first + t->n++) % QR_TALLY_SPANS;
        memset(&t->span[at], 0, sizeof t->span[at]);
    } else {
        at = (t->first + t->n - 1) % QR_TALLY_SPANS; /* full: the last one grows */
    }
    t->span[at].cipher += cipher;
    for (size_t c = 0; c < QR_CLASSES_COUNT; c++) {
        t->span[at].by_class[c] += by_class[c];
    }
}

void
qr_tally_take(struct qr_tally *t, size_t n, struct qr_ledger_peer *p)
{
    uint64_t *overhead = &p->class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_OUT];

    while (n > 0) {
        QR_ASSERT(t->n > 0);
        size_t left = t->span[t->first].cipher - t->span[t->first].taken;
        size_t k = n < left ? n : left;
        /* A piece of a span is overhead until the whole of it has gone. */
        *overhead += k;
        t->span[t->first].taken += k;
        n -= k;
        if (k < left) {
            break;
        }
        for (size_t c = 0; c < QR_CLASSES_COUNT; c++) {
            p->class_[c].wire[QR_DIR_OUT] += t->span[t->first].by_class[c];
            *overhead -= t->span[t->first].by_class[c];
        }
        t->first = (t->first + 1) % QR_TALLY_SPANS;
        t->n--;
    }
}
