/*
 * Vendors' documents: what the platform wants, and what the host brings. The party looks at names and
 * sizes only; what the documents are worth is decided where evidence is verified.
 */
#include "daemon/party_int.h"

#include <stdio.h>

qr_err
qr_party_needs(const struct qr_party *p, struct qr_dbuf *out)
{
    static const char nothing[] = "{\"v\":1,\"needs\":[]}";
    const struct qr_tee *t = p->env.tee;
    return t->needs ? t->needs(t->ctx, out) : qr_dbuf_append(out, nothing, sizeof nothing - 1);
}

/* By the name that the host uses; QR_PART_NONE: there is none. */
static enum qr_part
part_named(qr_view name)
{
    for (unsigned i = 1; i <= UINT8_MAX; i++) {
        const char *known = qr_part_name((enum qr_part)i);
        if (qr_part_max((enum qr_part)i) > 0 && qr_view_eq(name, qr_view_str(known))) {
            return (enum qr_part)i;
        }
    }
    return QR_PART_NONE;
}

static qr_err
take(struct qr_party *p, const struct qr_ask *ask, char *why, size_t cap)
{
    const struct qr_tee *t = p->env.tee;
    struct qr_tee_piece piece[QR_ASK_PIECES];
    char q[QR_QUOTE_MAX];

    if (!t->collateral) {
        (void)snprintf(why, cap, "this platform needs no documents");
        return QR_ERR_PLATFORM;
    }
    for (size_t i = 0; i < ask->n_pieces; i++) {
        piece[i] = (struct qr_tee_piece){part_named(ask->pieces[i].name), ask->pieces[i].body};
        if (piece[i].part == QR_PART_NONE || piece[i].body.len > qr_part_max(piece[i].part)) {
            (void)snprintf(why, cap, "piece %zu, \"%s\", of %zu bytes: not one that evidence has",
                           i + 1, qr_quote(q, ask->pieces[i].name), ask->pieces[i].body.len);
            return QR_ERR_MALFORMED;
        }
    }
    qr_err e = t->collateral(t->ctx, ask->body, piece, ask->n_pieces);
    if (e != QR_OK && t->why) {
        (void)snprintf(why, cap, "%s", qr_tee_why(t, e));
    }
    return e;
}

void
qr_party_take_collateral(struct qr_party *p, uint64_t to, const struct qr_ask *ask)
{
    char why[160] = "the platform did not ask for it";
    qr_err e = take(p, ask, why, sizeof why);

    if (e != QR_OK) {
        char q[QR_QUOTE_MAX];
        qr_party_log(QR_LOG_WARN, "collateral_refused", 0, "documents from \"%s\": %s",
                     qr_quote(q, ask->body), why);
        qr_party_answer_error(p, to, e, 0, why);
        return;
    }
    if (p->attest.self_failed) {
        p->attest.self_at = p->now; /* perhaps it was this that our own evidence lacked */
    }
    struct qr_answer a = {.error = QR_OK, .json = qr_view_str("{}")};
    p->env.answer(p->env.answer_ctx, to, &a);
}
