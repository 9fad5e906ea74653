#include "test/common/secretkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "transport/link_mem.h"

static struct cluster_how how;
static struct qr_link_mem_net *net;
static int with_pairs;

void
secretkit_with_pairs(void)
{
    with_pairs = 1;
}

const char *
secretkit_peers(unsigned t)
{
    static char text[96];
    if (t == 0) {
        return "{\"insecure_sim\":true}";
    }
    (void)snprintf(text, sizeof text, "{\"insecure_sim\":true,\"peer_secret\":{\"threshold\":%u}}",
                   t);
    return text;
}

void
secretkit_start_as(struct cluster *c, size_t n, const char *peers)
{
    net = net ? net : qr_link_mem_net_new();
    assert_non_null(net);
    how = (struct cluster_how){.peers = peers, .mem = net, .no_pool = 1, .no_pairs = !with_pairs};
    qr_log_init(QR_LOG_INFO, QR_LOG_JSON); /* the limiter of lines begins anew */
    cluster_start_as(c, n, &how);
}

void
secretkit_start(struct cluster *c, size_t n, unsigned t)
{
    secretkit_start_as(c, n, secretkit_peers(t));
    assert_true(cluster_until(c, 2000, secretkit_open, NULL));
}

void
secretkit_stop(struct cluster *c)
{
    cluster_stop(c);
    qr_link_mem_net_free(net);
    net = NULL;
    with_pairs = 0;
}

int
secretkit_open(struct cluster *c, void *unused)
{
    (void)unused;
    for (size_t i = 1; i <= c->n; i++) {
        if (c->p[i].alive && qr_secret_state(c->p[i].party) != QR_SECRET_OPEN) {
            return 0;
        }
    }
    return 1;
}

static const struct qr_key *
key_at(const struct cluster *c, size_t i, const uint8_t pk[33])
{
    const struct qr_party *p = c->p[i].party;
    for (size_t k = 0; c->p[i].alive && k < p->n_keys; k++) {
        if (memcmp(p->key[k].key->pub.pk, pk, 33) == 0) {
            return p->key[k].key;
        }
    }
    return NULL;
}

/* A set-up costs a twentieth of a second, so there are only those of one set that can sign. */
static void
pair_signers(struct cluster *c, size_t i, const uint8_t pk[33])
{
    const struct qr_key *key = key_at(c, i, pk);
    assert_non_null(key);
    uint16_t mask = (uint16_t)(1u << (i - 1));
    for (size_t j = 1, have = 1; j <= c->n && have < key->pub.t; j++) {
        if (j != i && key_at(c, j, pk)) {
            mask |= (uint16_t)(1u << (j - 1));
            have++;
        }
    }
    cluster_pairs(c, mask);
}

void
secretkit_sign(struct cluster *c, size_t i, const uint8_t pk[33])
{
    static unsigned number;
    char body[2048], id[32];

    if (how.no_pairs) {
        pair_signers(c, i, pk);
    }

    (void)snprintf(id, sizeof id, "secretkit-request-%05u", number++);
    cluster_body(c, pk, id, "", 1, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(c, cluster_sign(c, i, body), 8000);
    assert_non_null(a);
    if (a->error != QR_OK) {
        fail_msg("sign: %s: %.*s", qr_err_name(a->error), (int)a->detail.len,
                 (const char *)a->detail.p);
    }
    assert_true(a->is_signed);
}

void
secretkit_no_key(struct cluster *c, size_t i, unsigned t, qr_err e, const char *words)
{
    static unsigned number;
    char body[512], cid[65];

    qr_hex_encode(qr_view_of(c->cluster, 32), cid);
    (void)snprintf(
        body, sizeof body,
        "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"%s\",\"id\":\"refused-keygen-%05u\","
        "\"issued_ms\":%llu,\"expires_ms\":%llu,\"cmd\":\"keygen\",\"t\":%u}",
        cid, number++, (unsigned long long)c->wall_ms, (unsigned long long)c->wall_ms + 60000, t);
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_COMMAND, .n_stamps = 1};
    ask.body = qr_view_str(body);
    ask.stamps[0] = cluster_stamp(c->admin, body, 0);
    const struct qr_answer *a = cluster_wait(c, cluster_ask(c, i, 1, &ask), 1000);
    assert_non_null(a);
    assert_string_equal(qr_err_name(a->error), qr_err_name(e));
    if (!memmem(a->detail.p, a->detail.len, words, strlen(words))) {
        fail_msg("\"%.*s\" lacks \"%s\"", (int)a->detail.len, (const char *)a->detail.p, words);
    }
}

void
secretkit_say(struct cluster *c, size_t from, size_t to, enum qr_msg type, qr_view payload)
{
    struct qr_party *p = c->p[to].party;
    const struct qr_msg_in m = {.from = (uint16_t)from, .type = type, .payload = payload};

    c->running = to;
    switch ((int)type) {
    case QR_MSG_SECRET_PUT:
        qr_pieces_on_put(p, &m);
        break;
    case QR_MSG_SECRET_GET:
        qr_pieces_on_get(p, &m);
        break;
    case QR_MSG_SECRET_KEEP:
        qr_pieces_on_keep(p, &m);
        break;
    case QR_MSG_SECRET_HAVE:
        qr_secret_on_have(p, &m);
        break;
    case QR_MSG_SECRET_PIECE:
        qr_secret_on_piece(p, &m);
        break;
    default:
        fail_msg("no message of secrets");
    }
    c->running = 0;
}

int
secretkit_piece(struct cluster *c, size_t holder, size_t owner, uint32_t epoch,
                struct qr_piece *ret)
{
    uint8_t rec[QR_PIECE_RECORD_LEN];
    char name[32];
    struct qr_buf b = qr_buf_over(rec, sizeof rec);

    (void)snprintf(name, sizeof name, "%zu-%u", owner, (unsigned)epoch);
    return qr_store_get(c->p[holder].store, QR_TABLE_PIECE, name, &b) == QR_OK &&
           qr_piece_decode(qr_buf_view(&b), ret) == QR_OK;
}

static char kept[1024][400];
static size_t kept_of[1024], n_kept;

static void
keep(void *ctx, const char *line, size_t len)
{
    const struct cluster *c = ctx;
    (void)snprintf(kept[n_kept % 1024], sizeof kept[0], "%.*s", (int)len, line);
    kept_of[n_kept++ % 1024] = c->running;
}

void
secretkit_log_start(struct cluster *c)
{
    n_kept = 0;
    qr_log_sink(keep, c);
}

int
secretkit_logged(size_t party, const char *word, const char *other)
{
    for (size_t i = 0; i < n_kept && i < 1024; i++) {
        if ((party == 0 || kept_of[i] == party) && strstr(kept[i], word) &&
            strstr(kept[i], other)) {
            return 1;
        }
    }
    return 0;
}

void
secretkit_log_stop(void)
{
    qr_log_sink(NULL, NULL);
}

int
secretkit_same_piece(const struct qr_piece *a, const struct qr_piece *b)
{
    uint8_t x[QR_PIECE_RECORD_LEN], y[QR_PIECE_RECORD_LEN];

    qr_piece_encode(a, x);
    qr_piece_encode(b, y);
    return memcmp(x, y, sizeof x) == 0;
}
