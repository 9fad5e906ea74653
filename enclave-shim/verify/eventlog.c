#include "enclave-shim/verify/eventlog.h"

#include "enclave-shim/verify/le.h"
#include "enclave-shim/verify/tpm.h"

#define EV_NO_ACTION 3u
#define EV_EFI_VARIABLE_DRIVER_CONFIG 0x80000001u
#define HASH_MAX 64u
#define NO_REGISTER UINT32_MAX

/* Bytes at the cursor, or NULL when fewer are left. */
static const uint8_t *
take(struct qr_log *l, size_t n)
{
    if (n > l->text.len - l->pos) {
        return NULL;
    }
    const uint8_t *p = l->text.p + l->pos;
    l->pos += n;
    return p;
}

static qr_err
cut_off(const struct qr_log *l, struct qr_verdict *v)
{
    return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                   "event log: ends inside a record (byte %zu of %zu)", l->pos, l->text.len);
}

/* One {algorithm, digest size} of the head. */
static qr_err
add_alg(struct qr_log *l, uint16_t tpm, uint16_t len, struct qr_verdict *v)
{
    enum qr_hash_alg h;
    int known = qr_hash_of_tpm(tpm, &h);
    if (len == 0 || len > HASH_MAX || (known && len != qr_hash_len(h))) {
        return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                       "event log: digests of hash 0x%04x cannot have %u bytes", tpm, len);
    }
    for (size_t i = 0; i < l->n_algs; i++) {
        if (l->alg[i].tpm == tpm) {
            return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                           "event log: hash 0x%04x is listed twice", tpm);
        }
    }
    l->alg[l->n_algs++] = (struct qr_log_alg){tpm, len};
    return QR_OK;
}

/* The event of the first record: TCG_EfiSpecIdEvent. */
static qr_err
read_spec_id(struct qr_log *l, qr_view ev, struct qr_verdict *v)
{
    static const char signature[16] = "Spec ID Event03";
    const size_t fixed = sizeof signature + 8; /* platform class, versions, size of a UINTN */

    if (ev.len < fixed + 4 || memcmp(ev.p, signature, sizeof signature) != 0) {
        return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_UNSUPPORTED,
                       "event log: expected the crypto-agile format (Spec ID Event03)");
    }
    uint32_t n = qr_le32(ev.p + fixed);
    if (n == 0 || n > QR_LOG_ALGS) {
        return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                       "event log: expected 1 to %u hashes, found %u", QR_LOG_ALGS, n);
    }
    size_t at = fixed + 4;
    if (ev.len < at + 4u * n + 1 || ev.len != at + 4u * n + 1 + ev.p[at + 4u * n]) {
        return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                       "event log: the head's size differs from its content");
    }
    for (uint32_t i = 0; i < n; i++, at += 4) {
        QR_TRY(add_alg(l, qr_le16(ev.p + at), qr_le16(ev.p + at + 2), v));
    }
    return QR_OK;
}

qr_err
qr_log_open(struct qr_log *l, qr_view text, uint32_t last_register, struct qr_verdict *v)
{
    *l = (struct qr_log){.text = text, .last_register = last_register};
    const uint8_t *head = take(l, 32); /* register, type, SHA-1 digest, size */
    if (!head) {
        return cut_off(l, v);
    }
    if (qr_le32(head + 4) != EV_NO_ACTION) {
        return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_UNSUPPORTED,
                       "event log: expected the crypto-agile format (Spec ID Event03)");
    }
    uint32_t size = qr_le32(head + 28);
    const uint8_t *ev = take(l, size);
    return ev ? read_spec_id(l, qr_view_of(ev, size), v) : cut_off(l, v);
}

/* The digests of one event, each of a listed hash, none twice. 0 after a failure. */
static int
read_digests(struct qr_log *l, uint32_t count, struct qr_verdict *v)
{
    memset(l->digest, 0, sizeof l->digest);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *id = take(l, 2);
        if (!id) {
            (void)cut_off(l, v);
            return 0;
        }
        size_t k = 0;
        while (k < l->n_algs && l->alg[k].tpm != qr_le16(id)) {
            k++;
        }
        if (k == l->n_algs || l->digest[k].p) {
            (void)qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                          "event log: a digest of hash 0x%04x at byte %zu, which is %s",
                          qr_le16(id), l->pos - 2, k == l->n_algs ? "not listed" : "there twice");
            return 0;
        }
        const uint8_t *p = take(l, l->alg[k].len);
        if (!p) {
            (void)cut_off(l, v);
            return 0;
        }
        l->digest[k] = qr_view_of(p, l->alg[k].len);
    }
    return 1;
}

/* A table in memory is longer than its log: the rest is 00 or FF throughout. */
static int
is_padding(qr_view rest)
{
    if (rest.p[0] != 0x00 && rest.p[0] != 0xff) {
        return 0;
    }
    for (size_t i = 1; i < rest.len; i++) {
        if (rest.p[i] != rest.p[0]) {
            return 0;
        }
    }
    return 1;
}

int
qr_log_next(struct qr_log *l, struct qr_verdict *v, struct qr_log_event *ret)
{
    if (!l->text.p || l->pos == l->text.len ||
        is_padding(qr_view_of(l->text.p + l->pos, l->text.len - l->pos))) {
        l->pos = l->text.len;
        return 0;
    }
    size_t at = l->pos;
    const uint8_t *head = take(l, 12);
    if (!head) {
        (void)cut_off(l, v);
        return 0;
    }
    struct qr_log_event e = {.reg = qr_le32(head), .type = qr_le32(head + 4)};
    uint32_t count = qr_le32(head + 8);
    if (e.reg > l->last_register || count == 0 || count > l->n_algs) {
        (void)qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                      "event log: register %u with %u digests at byte %zu; expected at most "
                      "register %u and %zu digests",
                      e.reg, count, at, l->last_register, l->n_algs);
        return 0;
    }
    if (!read_digests(l, count, v)) {
        return 0;
    }
    const uint8_t *size = take(l, 4);
    e.data.len = size ? qr_le32(size) : 0;
    e.data.p = size ? take(l, e.data.len) : NULL;
    if (!e.data.p) {
        (void)cut_off(l, v);
        return 0;
    }
    *ret = e;
    return 1;
}

/* One bank in the making. */
struct replay {
    enum qr_hash_alg alg;
    size_t at; /* its place in the log's list */
    uint8_t reg[QR_LOG_REGISTERS][HASH_MAX];
    uint32_t touched;
};

/* What secure boot was, as far as the log has shown. */
struct boot {
    const struct replay *by; /* the bank whose digests say that a text is what was measured */
    uint32_t reg;            /* where the variable is measured */
    int separated;           /* the firmware is done with that register */
    int seen, on;
};

static qr_err
replay_open(struct replay *p, const struct qr_log *l, enum qr_hash_alg alg, struct qr_verdict *v)
{
    memset(p, 0, sizeof *p);
    p->alg = alg;
    for (p->at = 0; p->at < l->n_algs; p->at++) {
        enum qr_hash_alg h;
        if (qr_hash_of_tpm(l->alg[p->at].tpm, &h) && h == alg) {
            return QR_OK;
        }
    }
    return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_UNSUPPORTED,
                   "event log: has no digests of the signed bank %s", qr_hash_name(alg));
}

static qr_err
extend(struct replay *p, const struct qr_log *l, const struct qr_log_event *e, struct qr_verdict *v)
{
    qr_view piece[2] = {qr_view_of(p->reg[e->reg], qr_hash_len(p->alg)), l->digest[p->at]};
    if (!piece[1].p) {
        return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                       "event log: an event of register %u has no %s digest", e->reg,
                       qr_hash_name(p->alg));
    }
    p->touched |= 1u << e->reg;
    return qr_hash_of(p->alg, piece, 2, p->reg[e->reg]) ? QR_OK : QR_ERR_NO_MEMORY;
}

/* EV_NO_ACTION with the locality of TPM2_Startup: PCR 0 starts with it in its last byte. */
static qr_err
startup(struct replay *p, size_t n, const struct qr_log_event *e, struct qr_verdict *v)
{
    static const char signature[16] = "StartupLocality";
    if (e->data.len < sizeof signature || memcmp(e->data.p, signature, sizeof signature) != 0) {
        return QR_OK; /* another remark of the firmware */
    }
    for (size_t i = 0; i < n; i++) {
        if (e->reg != 0 || e->data.len != sizeof signature + 1 || e->data.p[16] > 4 ||
            (p[i].touched & 1)) {
            return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                           "event log: expected one locality of 0 to 4 before the first event of "
                           "PCR 0");
        }
        p[i].reg[0][qr_hash_len(p[i].alg) - 1] = e->data.p[16];
    }
    return QR_OK;
}

/* 1: the event's digest in this bank is the hash of `data`. */
static int
digest_is_of(const struct replay *p, const struct qr_log *l, qr_view data)
{
    uint8_t h[HASH_MAX];
    return qr_hash_of(p->alg, &data, 1, h) &&
           qr_view_eq(l->digest[p->at], qr_view_of(h, qr_hash_len(p->alg)));
}

static int
is_separator(const struct replay *p, const struct qr_log *l)
{
    static const uint8_t zeros[4] = {0}, ones[4] = {0xff, 0xff, 0xff, 0xff};
    return digest_is_of(p, l, qr_view_of(zeros, 4)) || digest_is_of(p, l, qr_view_of(ones, 4));
}

/*
 * UEFI_VARIABLE_DATA of "SecureBoot". An event's type is nobody's word but the log's: what counts is
 * measured text in front of the first separator, which an operating system cannot put there.
 */
static void
look_at_boot(struct boot *b, const struct qr_log *l, const struct qr_log_event *e)
{
    static const uint8_t head[] = {
        0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d,
        0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c,          /* EFI_GLOBAL_VARIABLE */
        10,   0,    0,    0,    0,    0,    0,    0, /* characters of the name */
        1,    0,    0,    0,    0,    0,    0,    0, /* bytes of the value */
        'S',  0,    'e',  0,    'c',  0,    'u',  0,    'r',  0,
        'e',  0,    'B',  0,    'o',  0,    'o',  0,    't',  0,
    };
    if (e->reg != b->reg || b->separated) {
        return;
    }
    if (is_separator(b->by, l)) {
        b->separated = 1;
        return;
    }
    if (e->type == EV_EFI_VARIABLE_DRIVER_CONFIG && e->data.len == sizeof head + 1 &&
        memcmp(e->data.p, head, sizeof head) == 0 && digest_is_of(b->by, l, e->data)) {
        int on = e->data.p[sizeof head] == 1;
        b->on = b->seen ? b->on && on : on;
        b->seen = 1;
    }
}

/*
 * All events into all banks. first is the register that is replay index 0 (CCEL: 1); lower ones are
 * not replayed. b->by may be NULL: then nobody vouches for texts.
 */
static qr_err
run_log(struct qr_log *l, struct replay *p, size_t n, uint32_t first, struct boot *b,
        struct qr_verdict *v, uint64_t *ret_events)
{
    struct qr_log_event e;
    uint64_t events = 0;

    while (qr_log_next(l, v, &e)) {
        events++;
        if (e.type == EV_NO_ACTION) {
            QR_TRY(first == 0 ? startup(p, n, &e, v) : QR_OK);
            continue;
        }
        if (e.reg < first) {
            continue;
        }
        e.reg -= first;
        for (size_t i = 0; i < n; i++) {
            QR_TRY(extend(&p[i], l, &e, v));
        }
        if (b->by) {
            look_at_boot(b, l, &e);
        }
    }
    if (v->reason != QR_REASON_NONE) {
        return QR_ERR_ATTESTATION;
    }
    *ret_events = events;
    return QR_OK;
}

static void
claim_boot(const struct boot *b, uint64_t events, struct qr_verdict *v)
{
    qr_claim_uint(&v->claims, "event_log.events", events);
    if (b->seen && b->separated) {
        qr_claim_bool(&v->claims, "event_log.secure_boot", b->on);
    }
}

/* Which PCRs of a bank replay to their signed values; the lowest of 0..7 that does not, or NO_REGISTER. */
static uint32_t
compare_bank(const struct replay *p, const struct qr_pcr_bank *bank, struct qr_claimset *c)
{
    size_t len = qr_hash_len(bank->alg), at = 0;
    uint32_t wrong = NO_REGISTER;

    for (uint32_t i = 0; i < QR_PCRS; i++) {
        if (!(bank->selected & (1u << i))) {
            continue;
        }
        int same = memcmp(p->reg[i], bank->values.p + at, len) == 0;
        at += len;
        if (p->touched & (1u << i)) {
            qr_claim_bool(c, qr_claim_path(c, "%sevent_log_replay_matches.%u", bank->prefix, i),
                          same);
        }
        if (!same && i <= 7 && wrong == NO_REGISTER) {
            wrong = i;
        }
    }
    return wrong;
}

qr_err
qr_tcg_log_part(struct qr_verify_run *r, const struct qr_pcr_bank *bank, size_t n)
{
    struct qr_verdict *v = r->v;
    struct replay p[QR_LOG_ALGS];
    struct boot boot = {.reg = 7};
    struct qr_log l;
    uint64_t events = 0;
    uint32_t wrong = NO_REGISTER;
    size_t wrong_bank = 0;

    if (n == 0 || n > QR_LOG_ALGS) {
        return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED,
                       "event log: %zu quoted banks to replay it to", n);
    }
    QR_TRY(qr_log_open(&l, qr_evidence_get(r->e, QR_PART_TCG_LOG), QR_PCRS - 1, v));
    for (size_t i = 0; i < n; i++) {
        QR_TRY(replay_open(&p[i], &l, bank[i].alg, v));
        /* Registers of a dynamic launch read FF until there is one. */
        memset(p[i].reg[17], 0xff, 6 * HASH_MAX);
        if ((bank[i].selected & 0xff) == 0) {
            return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MEASUREMENT,
                           "event log: the quote selects none of PCR 0 to 7");
        }
        if (!boot.by && bank[i].alg != QR_SHA1 && (bank[i].selected & 0x80)) {
            boot.by = &p[i];
        }
    }
    QR_TRY(run_log(&l, p, n, 0, &boot, v, &events));
    for (size_t i = 0; i < n; i++) {
        uint32_t w = compare_bank(&p[i], &bank[i], &v->claims);
        if (wrong == NO_REGISTER && w != NO_REGISTER) {
            wrong = w;
            wrong_bank = i;
        }
    }
    if (wrong != NO_REGISTER) {
        return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MEASUREMENT,
                       "event log: does not replay to the quoted PCR %u of bank %s", wrong,
                       qr_hash_name(bank[wrong_bank].alg));
    }
    claim_boot(&boot, events, v);
    qr_pass(v, QR_CHECK_EVENT_LOG);
    return QR_OK;
}

qr_err
qr_cc_log_part(struct qr_verify_run *r, const qr_view rtmr[4])
{
    struct qr_verdict *v = r->v;
    struct replay p;
    struct boot boot = {.by = &p}; /* RTMR0 stands for PCRs 1 and 7 */
    struct qr_log l;
    uint64_t events = 0;

    QR_TRY(qr_log_open(&l, qr_evidence_get(r->e, QR_PART_CC_LOG), 4, v));
    QR_TRY(replay_open(&p, &l, QR_SHA384, v));
    QR_TRY(run_log(&l, &p, 1, 1, &boot, v, &events));
    qr_claim_text(&v->claims, "event_log.alg", qr_view_str("sha384"));
    qr_claim_bool(&v->claims, "event_log.mr_index_minus_1_is_rtmr", 1);
    uint32_t wrong = NO_REGISTER;
    for (uint32_t i = 0; i < 4; i++) {
        int same = qr_view_eq(rtmr[i], qr_view_of(p.reg[i], 48));
        qr_claim_bool(&v->claims, qr_claim_path(&v->claims, "event_log.rtmr_matches.%u", i), same);
        if (!same && i < 3 && wrong == NO_REGISTER) {
            wrong = i;
        }
    }
    qr_claim_bool(&v->claims, "event_log.ccel_replays", wrong == NO_REGISTER);
    if (wrong != NO_REGISTER) {
        return qr_fail(v, QR_CHECK_EVENT_LOG, QR_REASON_MEASUREMENT,
                       "event log: does not replay to RTMR%u of the quote", wrong);
    }
    claim_boot(&boot, events, v);
    qr_pass(v, QR_CHECK_EVENT_LOG);
    return QR_OK;
}
