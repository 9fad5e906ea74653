/*
 * protobuf-c does the encoding; this file adds what it does not do: bounds, strictness and memory.
 *
 * Memory: a decoded message is one heap block, | our struct | arena |, and the arena is the schema
 * library's allocator. It holds every byte field once (never more than the frame) and a fixed
 * allowance for structs and arrays; a frame made of thousands of tiny fields runs out of it.
 *
 * Strictness: the decoded message is encoded again into a buffer that only compares. Whatever is
 * not the one canonical encoding (unknown or repeated fields, explicit zeros, overlong varints, a
 * NUL in a string, two members of the oneof) differs.
 */
#include "proto/boundary.h"

#include "proto/boundary.pb-c.h"
#include "protocol/base/check.h"

#define ASK_ALLOWANCE (8u * 1024u)
#define ANSWER_ALLOWANCE (32u * 1024u)
#define READ_CHUNK (64u * 1024u)
#define PREFIX 4u

/* ---- frames ---- */

void
qr_frames_init(struct qr_frames *f, size_t frame_max)
{
    *f = (struct qr_frames){.frame_max = frame_max};
    qr_dbuf_init(&f->buf, PREFIX + frame_max + READ_CHUNK);
}

void
qr_frames_clear(struct qr_frames *f)
{
    qr_dbuf_free(&f->buf);
    f->pos = 0;
}

qr_err
qr_frames_room(struct qr_frames *f, uint8_t **ret_p, size_t *ret_n)
{
    qr_dbuf_consume(&f->buf, f->pos);
    f->pos = 0;
    size_t want = READ_CHUNK;
    if (f->buf.len >= PREFIX) {
        size_t frame = qr_get32(f->buf.p);
        /* A prefix above the maximum is refused by qr_frames_next, before this allocates for it. */
        if (frame <= f->frame_max && PREFIX + frame > f->buf.len + want) {
            want = PREFIX + frame - f->buf.len;
        }
    }
    if (want > f->buf.max - f->buf.len) {
        want = f->buf.max - f->buf.len;
    }
    QR_ASSERT(want > 0); /* a complete frame is waiting: the caller skipped qr_frames_next */
    QR_TRY(qr_dbuf_reserve(&f->buf, want));
    *ret_p = f->buf.p + f->buf.len;
    *ret_n = want;
    return QR_OK;
}

void
qr_frames_added(struct qr_frames *f, size_t n)
{
    QR_ASSERT(n <= f->buf.cap - f->buf.len);
    f->buf.len += n;
}

qr_err
qr_frames_next(struct qr_frames *f, qr_view *ret)
{
    size_t have = f->buf.len - f->pos;
    if (have < PREFIX) {
        *ret = (qr_view){NULL, 0};
        return QR_OK;
    }
    size_t frame = qr_get32(f->buf.p + f->pos);
    if (frame == 0) {
        return QR_ERR_MALFORMED;
    }
    if (frame > f->frame_max) {
        return QR_ERR_TOO_LARGE;
    }
    if (have < PREFIX + frame) {
        *ret = (qr_view){NULL, 0};
        return QR_OK;
    }
    *ret = qr_view_of(f->buf.p + f->pos + PREFIX, frame);
    f->pos += PREFIX + frame;
    return QR_OK;
}

/* ---- protobuf-c on our terms ---- */

struct bump {
    uint8_t *p;
    size_t cap, used;
};

static void *
bump_alloc(void *ctx, size_t n)
{
    struct bump *b = ctx;
    size_t need = (n + 15u) & ~(size_t)15u;
    if (need < n || need > b->cap - b->used) {
        return NULL;
    }
    void *p = b->p + b->used;
    b->used += need;
    return p;
}

static void
bump_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

struct compare {
    ProtobufCBuffer base;
    qr_view rest;
    int differs;
};

static void
compare_append(ProtobufCBuffer *base, size_t n, const uint8_t *p)
{
    struct compare *c = (struct compare *)base;
    if (n > c->rest.len || (n > 0 && memcmp(c->rest.p, p, n) != 0)) {
        c->differs = 1;
        return;
    }
    c->rest.p += n;
    c->rest.len -= n;
}

static int
is_canonical(const ProtobufCMessage *m, qr_view frame)
{
    struct compare c = {.base = {compare_append}, .rest = frame};
    protobuf_c_message_pack_to_buffer(m, &c.base);
    return !c.differs && c.rest.len == 0;
}

static ProtobufCMessage *
unpack(const ProtobufCMessageDescriptor *d, struct bump *b, qr_view frame)
{
    ProtobufCAllocator a = {.alloc = bump_alloc, .free = bump_free, .allocator_data = b};
    return protobuf_c_message_unpack(d, &a, frame.len, frame.p);
}

static qr_err
pack(struct qr_dbuf *out, const ProtobufCMessage *m, size_t frame_max)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    if (n > frame_max) {
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(qr_dbuf_reserve(out, PREFIX + n));
    qr_put32(out->p + out->len, (uint32_t)n);
    size_t packed = protobuf_c_message_pack(m, out->p + out->len + PREFIX);
    QR_ASSERT(packed == n);
    out->len += PREFIX + n;
    return QR_OK;
}

static qr_view
view_of_bytes(ProtobufCBinaryData b)
{
    return qr_view_of(b.data, b.len);
}

static ProtobufCBinaryData
bytes_of_view(qr_view v)
{
    /* The library's type is not const; it only reads what it packs. */
    return (ProtobufCBinaryData){.len = v.len, .data = (uint8_t *)(uintptr_t)v.p};
}

/* Copies at most cap - 1 bytes, never half of a UTF-8 character; NUL-terminated. */
static char *
text_of_view(char *out, size_t cap, qr_view v)
{
    size_t n = v.len < cap ? v.len : cap - 1;
    while (n < v.len && n > 0 && (v.p[n] & 0xc0) == 0x80) {
        n--;
    }
    if (n > 0) {
        memcpy(out, v.p, n);
    }
    out[n] = '\0';
    return out;
}

static int
has_nul(qr_view v)
{
    return v.len > 0 && memchr(v.p, 0, v.len) != NULL;
}

/* ---- Ask ---- */

static qr_err
pieces_check(const struct qr_ask *a)
{
    size_t total = 0;

    if (a->n_pieces == 0) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; i < a->n_pieces; i++) {
        const struct qr_ask_piece *p = &a->pieces[i];
        if (p->name.len > QR_ASK_PIECE_NAME_MAX || p->body.len > QR_ASK_PIECE_MAX) {
            return QR_ERR_TOO_LARGE;
        }
        if (p->name.len == 0 || p->body.len == 0 || has_nul(p->name)) {
            return QR_ERR_MALFORMED;
        }
        total += p->body.len;
    }
    return total > QR_DOC_MAX ? QR_ERR_TOO_LARGE : QR_OK;
}

/* The rules of struct qr_ask; the same for both directions. */
size_t
qr_query_arg_len(enum qr_query q)
{
    switch (q) {
    case QR_QUERY_KEY:
        return QR_POINT_LEN;
    case QR_QUERY_ATTESTATION:
    case QR_QUERY_RECEIPT:
        return 32;
    case QR_QUERY_AUDIT:
        return 16;
    default:
        return 0;
    }
}

static qr_err
ask_check(const struct qr_ask *a)
{
    size_t body_max = 0, stamps_max = 0;
    int body_wanted = 0;

    switch (a->what) {
    case QR_ASK_SIGN:
        body_max = QR_BODY_MAX;
        body_wanted = 1;
        stamps_max = QR_STAMPS_MAX;
        break;
    case QR_ASK_QUERY:
        if (a->query < QR_QUERY_STATUS || a->query >= QR_QUERY_END_) {
            return QR_ERR_MALFORMED;
        }
        body_max = qr_query_arg_len(a->query);
        if (a->body.len != body_max) {
            return QR_ERR_LENGTH;
        }
        break;
    case QR_ASK_ADMIN:
        if (a->admin < QR_ADMIN_COMMAND || a->admin >= QR_ADMIN_END_) {
            return QR_ERR_MALFORMED;
        }
        body_wanted = a->admin != QR_ADMIN_DRAIN;
        body_max = body_wanted ? QR_DOC_MAX : 0;
        stamps_max = body_wanted ? QR_ADMINS_MAX : 0;
        break;
    case QR_ASK_COLLATERAL:
        QR_TRY(pieces_check(a));
        body_wanted = !has_nul(a->body);
        body_max = body_wanted ? QR_ASK_SOURCE_MAX : 0;
        break;
    default:
        return QR_ERR_MALFORMED;
    }
    if (a->n_pieces > 0 && a->what != QR_ASK_COLLATERAL) {
        return QR_ERR_MALFORMED;
    }
    if (a->body.len > body_max || a->n_stamps > stamps_max) {
        return QR_ERR_TOO_LARGE;
    }
    if (body_wanted && a->body.len == 0) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; i < a->n_stamps; i++) {
        if (a->stamps[i].len > QR_STAMP_MAX) {
            return QR_ERR_TOO_LARGE;
        }
        if (a->stamps[i].len == 0) {
            return QR_ERR_MALFORMED;
        }
    }
    if (a->traceparent.len != 0 &&
        (a->what != QR_ASK_SIGN || a->traceparent.len != QR_TRACEPARENT_LEN ||
         has_nul(a->traceparent))) {
        return QR_ERR_MALFORMED;
    }
    return QR_OK;
}

static qr_err
put_collateral(struct qr_dbuf *out, const struct qr_ask *a)
{
    Quorate__Boundary__Ask m;
    Quorate__Boundary__Collateral c;
    Quorate__Boundary__Piece piece[QR_ASK_PIECES], *list[QR_ASK_PIECES];
    char source[QR_ASK_SOURCE_MAX + 1], name[QR_ASK_PIECES][QR_ASK_PIECE_NAME_MAX + 1];

    quorate__boundary__collateral__init(&c);
    c.source = text_of_view(source, sizeof source, a->body);
    c.n_pieces = a->n_pieces;
    c.pieces = list;
    for (size_t i = 0; i < a->n_pieces; i++) {
        list[i] = &piece[i];
        quorate__boundary__piece__init(list[i]);
        piece[i].name = text_of_view(name[i], sizeof name[i], a->pieces[i].name);
        piece[i].body = bytes_of_view(a->pieces[i].body);
    }
    quorate__boundary__ask__init(&m);
    m.id = a->id;
    m.version = QR_BOUNDARY_VERSION;
    m.what_case = QUORATE__BOUNDARY__ASK__WHAT_COLLATERAL;
    m.collateral = &c;
    return pack(out, &m.base, QR_ASK_FRAME_MAX);
}

qr_err
qr_ask_put(struct qr_dbuf *out, const struct qr_ask *a)
{
    Quorate__Boundary__Ask m;
    Quorate__Boundary__Sign sign;
    Quorate__Boundary__Query query;
    Quorate__Boundary__Admin admin;
    ProtobufCBinaryData stamps[QR_ADMINS_MAX];
    char trace[QR_TRACEPARENT_LEN + 1];

    QR_TRY(ask_check(a));
    if (a->what == QR_ASK_COLLATERAL) {
        return put_collateral(out, a);
    }
    for (size_t i = 0; i < a->n_stamps; i++) {
        stamps[i] = bytes_of_view(a->stamps[i]);
    }
    quorate__boundary__ask__init(&m);
    m.id = a->id;
    m.version = QR_BOUNDARY_VERSION;
    if (a->what == QR_ASK_SIGN) {
        quorate__boundary__sign__init(&sign);
        sign.body = bytes_of_view(a->body);
        sign.n_stamps = a->n_stamps;
        sign.stamps = stamps;
        sign.traceparent = text_of_view(trace, sizeof trace, a->traceparent);
        m.what_case = QUORATE__BOUNDARY__ASK__WHAT_SIGN;
        m.sign = &sign;
    } else if (a->what == QR_ASK_QUERY) {
        quorate__boundary__query__init(&query);
        query.kind = (Quorate__Boundary__Query__Kind)a->query;
        query.arg = bytes_of_view(a->body);
        m.what_case = QUORATE__BOUNDARY__ASK__WHAT_QUERY;
        m.query = &query;
    } else {
        quorate__boundary__admin__init(&admin);
        admin.kind = (Quorate__Boundary__Admin__Kind)a->admin;
        admin.body = bytes_of_view(a->body);
        admin.n_stamps = a->n_stamps;
        admin.stamps = stamps;
        m.what_case = QUORATE__BOUNDARY__ASK__WHAT_ADMIN;
        m.admin = &admin;
    }
    return pack(out, &m.base, QR_ASK_FRAME_MAX);
}

static qr_err
ask_stamps(struct qr_ask *a, size_t n, const ProtobufCBinaryData *stamps)
{
    if (n > QR_ADMINS_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    a->n_stamps = n;
    for (size_t i = 0; i < n; i++) {
        a->stamps[i] = view_of_bytes(stamps[i]);
    }
    return QR_OK;
}

static qr_err
ask_pieces(struct qr_ask *a, const Quorate__Boundary__Collateral *c)
{
    if (c->n_pieces > QR_ASK_PIECES) {
        return QR_ERR_TOO_LARGE;
    }
    a->n_pieces = c->n_pieces;
    for (size_t i = 0; i < c->n_pieces; i++) {
        a->pieces[i].name = qr_view_str(c->pieces[i]->name);
        a->pieces[i].body = view_of_bytes(c->pieces[i]->body);
    }
    return QR_OK;
}

static qr_err
ask_fill(struct qr_ask *a, const Quorate__Boundary__Ask *m)
{
    a->id = m->id;
    switch (m->what_case) {
    case QUORATE__BOUNDARY__ASK__WHAT_SIGN:
        a->what = QR_ASK_SIGN;
        a->body = view_of_bytes(m->sign->body);
        a->traceparent = qr_view_str(m->sign->traceparent);
        QR_TRY(ask_stamps(a, m->sign->n_stamps, m->sign->stamps));
        break;
    case QUORATE__BOUNDARY__ASK__WHAT_QUERY:
        a->what = QR_ASK_QUERY;
        a->query = (enum qr_query)m->query->kind;
        a->body = view_of_bytes(m->query->arg);
        break;
    case QUORATE__BOUNDARY__ASK__WHAT_ADMIN:
        a->what = QR_ASK_ADMIN;
        a->admin = (enum qr_admin)m->admin->kind;
        a->body = view_of_bytes(m->admin->body);
        QR_TRY(ask_stamps(a, m->admin->n_stamps, m->admin->stamps));
        break;
    case QUORATE__BOUNDARY__ASK__WHAT_COLLATERAL:
        a->what = QR_ASK_COLLATERAL;
        a->body = qr_view_str(m->collateral->source);
        QR_TRY(ask_pieces(a, m->collateral));
        break;
    default:
        return QR_ERR_MALFORMED;
    }
    return ask_check(a);
}

static int
ask_has_unknown(const Quorate__Boundary__Ask *m)
{
    switch (m->what_case) {
    case QUORATE__BOUNDARY__ASK__WHAT_SIGN:
        return m->sign->base.n_unknown_fields > 0;
    case QUORATE__BOUNDARY__ASK__WHAT_QUERY:
        return m->query->base.n_unknown_fields > 0;
    case QUORATE__BOUNDARY__ASK__WHAT_ADMIN:
        return m->admin->base.n_unknown_fields > 0;
    case QUORATE__BOUNDARY__ASK__WHAT_COLLATERAL:
        for (size_t i = 0; i < m->collateral->n_pieces; i++) {
            if (m->collateral->pieces[i]->base.n_unknown_fields > 0) {
                return 1;
            }
        }
        return m->collateral->base.n_unknown_fields > 0;
    default:
        return 0;
    }
}

static qr_err
ask_unpack(struct qr_ask *a, struct bump *b, qr_view frame)
{
    const ProtobufCMessage *base = unpack(&quorate__boundary__ask__descriptor, b, frame);
    const Quorate__Boundary__Ask *m = (const Quorate__Boundary__Ask *)(const void *)base;

    if (!m) {
        return QR_ERR_MALFORMED;
    }
    if (m->version != QR_BOUNDARY_VERSION) {
        return QR_ERR_VERSION;
    }
    if (base->n_unknown_fields > 0 || ask_has_unknown(m)) {
        return QR_ERR_UNKNOWN_FIELD;
    }
    return is_canonical(base, frame) ? ask_fill(a, m) : QR_ERR_MALFORMED;
}

qr_err
qr_ask_decode(qr_view frame, struct qr_ask **ret)
{
    if (frame.len > QR_ASK_FRAME_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    size_t head = QR_ARENA_ROUND(sizeof(struct qr_ask));
    struct bump b = {.cap = frame.len + ASK_ALLOWANCE};
    struct qr_ask *a = qr_alloc(head + b.cap);
    if (!a) {
        return QR_ERR_NO_MEMORY;
    }
    b.p = (uint8_t *)a + head;

    qr_err e = ask_unpack(a, &b, frame);
    if (e != QR_OK) {
        qr_free(a);
        return e;
    }
    *ret = a;
    return QR_OK;
}

struct qr_ask *
qr_ask_free(struct qr_ask *a)
{
    return qr_free(a);
}

/* ---- Answer ---- */

static int
err_is_known(uint32_t v)
{
    switch (v) {
#define QR_E(name, value, class, http, code, text) case (value):
#include "protocol/base/err.def"
#undef QR_E
        return 1;
    default:
        return 0;
    }
}

/* The rules of struct qr_answer; the same for both directions. */
static qr_err
answer_check(const struct qr_answer *a)
{
    const struct qr_answer_signed *s = &a->sgn;

    if (!err_is_known((uint32_t)a->error) || a->party > QR_MAX_PARTIES || has_nul(a->detail) ||
        has_nul(a->rule) || a->rule.len > QR_NAME_MAX) {
        return QR_ERR_MALFORMED;
    }
    if (a->n_approvers > QR_APPROVERS_MAX || a->need > QR_APPROVERS_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < a->n_approvers; i++) {
        qr_view name = a->approvers[i];
        if (name.len == 0 || name.len > QR_NAME_MAX || has_nul(name)) {
            return QR_ERR_MALFORMED;
        }
    }
    if (!a->is_signed) {
        return QR_OK;
    }
    if (a->error != QR_OK || has_nul(s->move_reason) || s->n_sigs < 1 || s->n_sigs > QR_ITEMS_MAX ||
        s->n_signers < 1 || s->n_signers > QR_MAX_PARTIES) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; i < s->n_signers; i++) {
        if (s->signers[i] < 1 || s->signers[i] > QR_MAX_PARTIES ||
            (i > 0 && s->signers[i] <= s->signers[i - 1])) {
            return QR_ERR_MALFORMED;
        }
    }
    for (size_t i = 0; i < s->n_sigs; i++) {
        if (s->sigs[i].recid > 3) {
            return QR_ERR_MALFORMED;
        }
    }
    return QR_OK;
}

qr_err
qr_answer_put(struct qr_dbuf *out, const struct qr_answer *a)
{
    Quorate__Boundary__Answer m;
    Quorate__Boundary__Signed s;
    Quorate__Boundary__Signature sigs[QR_ITEMS_MAX], *psigs[QR_ITEMS_MAX];
    uint32_t signers[QR_MAX_PARTIES];
    char detail[QR_ANSWER_DETAIL_MAX + 1], reason[QR_ANSWER_DETAIL_MAX + 1], rule[QR_NAME_MAX + 1];
    char name[QR_APPROVERS_MAX][QR_NAME_MAX + 1], *names[QR_APPROVERS_MAX];

    QR_TRY(answer_check(a));
    quorate__boundary__answer__init(&m);
    m.id = a->id;
    m.version = QR_BOUNDARY_VERSION;
    m.error = (uint32_t)a->error;
    m.party = a->party;
    m.detail = text_of_view(detail, sizeof detail, a->detail);
    m.rule = text_of_view(rule, sizeof rule, a->rule);
    m.json = bytes_of_view(a->json);
    m.text = bytes_of_view(a->text);
    m.need = a->need;
    m.retry_s = a->retry_s;
    m.n_approvers = a->n_approvers;
    m.approvers = names;
    for (size_t i = 0; i < a->n_approvers; i++) {
        names[i] = text_of_view(name[i], sizeof name[i], a->approvers[i]);
    }
    if (a->is_signed) {
        quorate__boundary__signed__init(&s);
        for (size_t i = 0; i < a->sgn.n_sigs; i++) {
            const struct qr_answer_sig *g = &a->sgn.sigs[i];
            quorate__boundary__signature__init(&sigs[i]);
            sigs[i].digest = bytes_of_view(qr_view_of(g->digest, sizeof g->digest));
            sigs[i].rs = bytes_of_view(qr_view_of(g->rs, sizeof g->rs));
            sigs[i].recid = g->recid;
            psigs[i] = &sigs[i];
        }
        for (size_t i = 0; i < a->sgn.n_signers; i++) {
            signers[i] = a->sgn.signers[i];
        }
        s.request = bytes_of_view(qr_view_of(a->sgn.request, sizeof a->sgn.request));
        s.key = bytes_of_view(qr_view_of(a->sgn.key, sizeof a->sgn.key));
        s.n_signatures = a->sgn.n_sigs;
        s.signatures = psigs;
        s.n_signers = a->sgn.n_signers;
        s.signers = signers;
        s.insecure_sim = a->sgn.insecure_sim ? 1 : 0;
        s.moves = a->sgn.moves;
        s.move_reason = text_of_view(reason, sizeof reason, a->sgn.move_reason);
        s.micros = a->sgn.micros;
        s.bytes = a->sgn.bytes;
        m.signed_ = &s;
    }
    return pack(out, &m.base, QR_ANSWER_FRAME_MAX);
}

struct answer_block {
    struct qr_answer a;
    struct qr_answer_sig sigs[QR_ITEMS_MAX];
};

static qr_err
signed_fill(struct answer_block *blk, const Quorate__Boundary__Signed *m)
{
    struct qr_answer_signed *s = &blk->a.sgn;

    if (m->n_signatures > QR_ITEMS_MAX || m->n_signers > QR_MAX_PARTIES) {
        return QR_ERR_TOO_LARGE;
    }
    if (m->request.len != sizeof s->request || m->key.len != sizeof s->key) {
        return QR_ERR_LENGTH;
    }
    if (m->insecure_sim > 1 || strlen(m->move_reason) > QR_ANSWER_DETAIL_MAX) {
        return QR_ERR_MALFORMED;
    }
    memcpy(s->request, m->request.data, sizeof s->request);
    memcpy(s->key, m->key.data, sizeof s->key);
    for (size_t i = 0; i < m->n_signatures; i++) {
        const Quorate__Boundary__Signature *g = m->signatures[i];
        if (g->digest.len != sizeof blk->sigs[i].digest || g->rs.len != sizeof blk->sigs[i].rs) {
            return QR_ERR_LENGTH;
        }
        if (g->recid > 3) {
            return QR_ERR_MALFORMED;
        }
        memcpy(blk->sigs[i].digest, g->digest.data, g->digest.len);
        memcpy(blk->sigs[i].rs, g->rs.data, g->rs.len);
        blk->sigs[i].recid = (uint8_t)g->recid;
    }
    for (size_t i = 0; i < m->n_signers; i++) {
        if (m->signers[i] > QR_MAX_PARTIES) {
            return QR_ERR_MALFORMED;
        }
        s->signers[i] = (uint16_t)m->signers[i];
    }
    s->n_sigs = m->n_signatures;
    s->sigs = blk->sigs;
    s->n_signers = m->n_signers;
    s->insecure_sim = (int)m->insecure_sim;
    s->moves = m->moves;
    s->move_reason = qr_view_str(m->move_reason);
    s->micros = m->micros;
    s->bytes = m->bytes;
    return QR_OK;
}

static qr_err
answer_fill(struct answer_block *blk, const Quorate__Boundary__Answer *m)
{
    struct qr_answer *a = &blk->a;

    if (!err_is_known(m->error) || m->party > QR_MAX_PARTIES ||
        strlen(m->detail) > QR_ANSWER_DETAIL_MAX) {
        return QR_ERR_MALFORMED;
    }
    a->id = m->id;
    a->error = (qr_err)m->error;
    a->party = (uint16_t)m->party;
    a->detail = qr_view_str(m->detail);
    a->rule = qr_view_str(m->rule);
    a->json = view_of_bytes(m->json);
    a->text = view_of_bytes(m->text);
    a->need = m->need;
    a->retry_s = m->retry_s;
    if (m->n_approvers > QR_APPROVERS_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    a->n_approvers = m->n_approvers;
    for (size_t i = 0; i < m->n_approvers; i++) {
        a->approvers[i] = qr_view_str(m->approvers[i]);
    }
    if (m->signed_) {
        a->is_signed = 1;
        QR_TRY(signed_fill(blk, m->signed_));
    }
    return answer_check(a);
}

static int
answer_has_unknown(const Quorate__Boundary__Answer *m)
{
    if (m->base.n_unknown_fields > 0) {
        return 1;
    }
    if (!m->signed_) {
        return 0;
    }
    unsigned n = m->signed_->base.n_unknown_fields;
    for (size_t i = 0; i < m->signed_->n_signatures && n == 0; i++) {
        n = m->signed_->signatures[i]->base.n_unknown_fields;
    }
    return n > 0;
}

static qr_err
answer_unpack(struct answer_block *blk, struct bump *b, qr_view frame)
{
    const ProtobufCMessage *base = unpack(&quorate__boundary__answer__descriptor, b, frame);
    const Quorate__Boundary__Answer *m = (const Quorate__Boundary__Answer *)(const void *)base;

    if (!m) {
        return QR_ERR_MALFORMED;
    }
    if (m->version != QR_BOUNDARY_VERSION) {
        return QR_ERR_VERSION;
    }
    if (answer_has_unknown(m)) {
        return QR_ERR_UNKNOWN_FIELD;
    }
    return is_canonical(base, frame) ? answer_fill(blk, m) : QR_ERR_MALFORMED;
}

qr_err
qr_answer_decode(qr_view frame, struct qr_answer **ret)
{
    if (frame.len > QR_ANSWER_FRAME_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    size_t head = QR_ARENA_ROUND(sizeof(struct answer_block));
    struct bump b = {.cap = frame.len + ANSWER_ALLOWANCE};
    struct answer_block *blk = qr_alloc(head + b.cap);
    if (!blk) {
        return QR_ERR_NO_MEMORY;
    }
    b.p = (uint8_t *)blk + head;

    qr_err e = answer_unpack(blk, &b, frame);
    if (e != QR_OK) {
        qr_free(blk);
        return e;
    }
    *ret = &blk->a;
    return QR_OK;
}

struct qr_answer *
qr_answer_free(struct qr_answer *a)
{
    return qr_free(a); /* first member of its block */
}
