/*
 * The chain over sealed records.
 *
 * In memory: an index of every record (table, name, serial, hash of the sealed bytes), sorted.
 * On disk: one row per record, and one sealed head with
 *      "QRST" || u8 version || store_id 16 || u64 serial || root 32 || u32 n
 *      || n times: u16 table || u8 name length || name || u64 serial || hash 32
 * that lists every chained record. A commit that touches chained records writes rows and head in one
 * transaction. So at open a row that is missing, added, exchanged, changed or old differs from the
 * list, and a list that was exchanged does not open or is an older whole. Only an older whole file
 * passes; its (serial, root) is what the peers remember.
 *
 * root_0 = TH("store"; "new", store_id). A commit with serial s makes
 * root_s = TH("store"; root_{s-1}, u64 s, for each change: u8 op, u16 table, name, hash or nothing).
 */
#include "daemon/store.h"

#include "daemon/store_db.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

#define HEAD_VERSION 1u
#define HEAD_FIXED (4u + 1u + 16u + 8u + 32u + 4u)
#define HEAD_ROW_MAX (2u + 1u + QR_STORE_NAME_MAX + 8u + 32u)
#define HEAD_MAX (HEAD_FIXED + QR_STORE_ROWS_MAX * HEAD_ROW_MAX)
#define AD_PREFIX "quorate/store/1"
#define AD_MAX (sizeof AD_PREFIX - 1 + 16 + 2 + 8 + QR_STORE_NAME_MAX)
#define TABLE_HEAD 0     /* in additional data only */
#define EPOCH 0          /* what the store seals outlives every rotation */
#define FIRST_UNBOUND 16 /* tables from here on are not chained */

_Static_assert(HEAD_MAX <= QR_STORE_RECORD_MAX, "the head is a record like others");

struct row {
    uint16_t tab;
    char name[QR_STORE_NAME_MAX + 1];
    uint64_t serial;
    uint8_t hash[32];
    int seen; /* while opening */
};

struct index {
    struct row *row;
    size_t n, cap;
};

struct qr_store {
    struct qr_db *db;
    struct qr_tee *tee;
    uint8_t id[16];
    uint64_t serial;
    uint8_t root[32];
    struct index rows;     /* sorted by (tab, name) */
    struct qr_dbuf sealed; /* scratch */
    int dead;              /* a write failed: no more writes */
    char error[512];
};

static qr_err __attribute__((format(printf, 3, 4)))
fail(struct qr_store *s, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(s->error, sizeof s->error, format, ap);
    va_end(ap);
    return e;
}

static qr_err
fail_db(struct qr_store *s, qr_err e)
{
    return e == QR_OK ? QR_OK : fail(s, e, "%s", qr_db_error(s->db));
}

static const char *
table_name(uint16_t t)
{
    switch (t) {
    case QR_TABLE_META:
        return "meta";
    case QR_TABLE_KEY:
        return "key";
    case QR_TABLE_DOC:
        return "doc";
    case QR_TABLE_PAIR:
        return "pair";
    case QR_TABLE_PIECE:
        return "piece";
    case QR_TABLE_PEER:
        return "peer";
    default:
        return "unknown";
    }
}

static int
is_table(uint16_t t)
{
    return (t >= QR_TABLE_META && t <= QR_TABLE_PIECE) || t == QR_TABLE_PEER;
}

static int
is_chained(uint16_t t)
{
    return t < FIRST_UNBOUND;
}

static int
is_name(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++) {
        char c = s[n];
        if (n >= QR_STORE_NAME_MAX ||
            !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-')) {
            return 0;
        }
    }
    return n > 0;
}

/* The index. */

static int
row_cmp(const struct row *r, uint16_t tab, const char *name)
{
    return r->tab != tab ? (r->tab < tab ? -1 : 1) : strcmp(r->name, name);
}

/* The first row that is not before (tab, name). */
static size_t
lower_bound(const struct index *x, uint16_t tab, const char *name)
{
    size_t lo = 0, hi = x->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (row_cmp(&x->row[mid], tab, name) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static struct row *
row_find(const struct index *x, uint16_t tab, const char *name)
{
    size_t i = lower_bound(x, tab, name);
    return i < x->n && row_cmp(&x->row[i], tab, name) == 0 ? &x->row[i] : NULL;
}

static qr_err
rows_reserve(struct index *x, size_t n)
{
    if (n > QR_STORE_ROWS_MAX) {
        return QR_ERR_STORE_FULL;
    }
    if (n > x->cap) {
        size_t cap = n + 32 < QR_STORE_ROWS_MAX ? n + 32 : QR_STORE_ROWS_MAX;
        struct row *p = qr_realloc(x->row, cap * sizeof *p);
        if (!p) {
            return QR_ERR_NO_MEMORY;
        }
        x->row = p;
        x->cap = cap;
    }
    return QR_OK;
}

/* Inserts or replaces; rows_reserve() saw to the space. */
static void
row_set(struct index *x, const struct row *r)
{
    size_t i = lower_bound(x, r->tab, r->name);
    if (i == x->n || row_cmp(&x->row[i], r->tab, r->name) != 0) {
        QR_ASSERT(x->n < x->cap);
        memmove(&x->row[i + 1], &x->row[i], (x->n - i) * sizeof x->row[0]);
        x->n++;
    }
    x->row[i] = *r;
}

static void
row_drop(struct index *x, uint16_t tab, const char *name)
{
    struct row *r = row_find(x, tab, name);
    if (r) {
        size_t i = (size_t)(r - x->row);
        memmove(r, r + 1, (x->n - i - 1) * sizeof *r);
        x->n--;
    }
}

/* Sealing. */

static qr_view
additional(const struct qr_store *s, uint16_t tab, uint64_t serial, const char *name,
           uint8_t out[static AD_MAX])
{
    struct qr_buf b = qr_buf_over(out, AD_MAX);
    qr_buf_put(&b, AD_PREFIX, sizeof AD_PREFIX - 1);
    qr_buf_put(&b, s->id, tab == TABLE_HEAD ? 0 : sizeof s->id); /* the head brings the id */
    qr_buf_put16(&b, tab);
    qr_buf_put64(&b, serial);
    qr_buf_put(&b, name, strlen(name));
    return qr_buf_view(&b);
}

/* Into s->sealed. */
static qr_err
seal(struct qr_store *s, uint16_t tab, uint64_t serial, const char *name, qr_view plain)
{
    uint8_t ad[AD_MAX];

    s->sealed.len = 0;
    QR_TRY(qr_dbuf_reserve(&s->sealed, plain.len + QR_SEAL_OVERHEAD));
    struct qr_buf b = qr_buf_over(s->sealed.p, s->sealed.cap);
    QR_TRY(s->tee->seal(s->tee->ctx, EPOCH, additional(s, tab, serial, name, ad), plain, &b));
    s->sealed.len = b.len;
    return QR_OK;
}

static qr_err
unseal(const struct qr_store *s, uint16_t tab, uint64_t serial, const char *name, qr_view sealed,
       struct qr_buf *out)
{
    uint8_t ad[AD_MAX];
    return s->tee->unseal(s->tee->ctx, EPOCH, additional(s, tab, serial, name, ad), sealed, out);
}

/* The head. */

/* Writes the head of a state to come. */
static qr_err
head_write(struct qr_store *s, uint64_t serial, const uint8_t root[static 32],
           const struct index *x)
{
    struct qr_dbuf plain;
    size_t n = 0;
    qr_err e = QR_OK;

    qr_dbuf_init(&plain, HEAD_MAX);
    QR_TRY(qr_dbuf_reserve(&plain, HEAD_FIXED + x->n * HEAD_ROW_MAX));
    while (n < x->n && is_chained(x->row[n].tab)) {
        n++; /* chained tables have the lower numbers */
    }
    struct qr_buf b = qr_buf_over(plain.p, plain.cap);
    qr_buf_put(&b, "QRST", 4);
    qr_buf_put8(&b, HEAD_VERSION);
    qr_buf_put(&b, s->id, sizeof s->id);
    qr_buf_put64(&b, serial);
    qr_buf_put(&b, root, 32);
    qr_buf_put32(&b, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &x->row[i];
        size_t len = strlen(r->name);
        qr_buf_put16(&b, r->tab);
        qr_buf_put8(&b, (uint8_t)len);
        qr_buf_put(&b, r->name, len);
        qr_buf_put64(&b, r->serial);
        qr_buf_put(&b, r->hash, 32);
    }
    e = b.err != QR_OK ? b.err : seal(s, TABLE_HEAD, 0, "", qr_buf_view(&b));
    if (e != QR_OK) {
        e = fail(s, e, "the store's head cannot be sealed: %s", qr_err_text(e));
    } else {
        e = fail_db(s, qr_db_put_head(s->db, qr_view_of(s->sealed.p, s->sealed.len)));
    }
    qr_dbuf_free(&plain);
    return e;
}

static qr_err
head_parse(struct qr_store *s, qr_view plain)
{
    struct qr_buf b = qr_buf_read(plain);
    qr_view magic = qr_buf_take(&b, 4);
    uint8_t version = qr_buf_get8(&b);

    if (!qr_view_eq(magic, qr_view_str("QRST")) || version != HEAD_VERSION) {
        return QR_ERR_VERSION;
    }
    qr_buf_get(&b, s->id, sizeof s->id);
    s->serial = qr_buf_get64(&b);
    qr_buf_get(&b, s->root, 32);
    uint32_t n = qr_buf_get32(&b);
    QR_TRY(rows_reserve(&s->rows, n));
    for (uint32_t i = 0; i < n && b.err == QR_OK; i++) {
        struct row r = {.tab = qr_buf_get16(&b)};
        qr_view name = qr_buf_take(&b, qr_buf_get8(&b));
        r.serial = qr_buf_get64(&b);
        qr_buf_get(&b, r.hash, 32);
        if (b.err != QR_OK || name.len > QR_STORE_NAME_MAX) {
            return QR_ERR_MALFORMED;
        }
        memcpy(r.name, name.p, name.len);
        if (!is_table(r.tab) || !is_chained(r.tab) || !is_name(r.name)) {
            return QR_ERR_MALFORMED;
        }
        row_set(&s->rows, &r);
    }
    return qr_buf_end(&b);
}

/* Opening. */

static qr_err
head_read(struct qr_store *s, struct qr_buf *scratch)
{
    qr_err e = qr_db_get_head(s->db, &s->sealed);

    if (e == QR_ERR_NOT_FOUND) {
        return fail(s, QR_ERR_STORE_CORRUPT,
                    "the store has no head record; replace it by the newest good copy");
    }
    QR_TRY(fail_db(s, e));
    e = unseal(s, TABLE_HEAD, 0, "", qr_view_of(s->sealed.p, s->sealed.len), scratch);
    if (e != QR_OK) {
        return fail(s, QR_ERR_SEAL,
                    "the store does not open: it was sealed on another machine or platform, by "
                    "another build of this program, or was changed");
    }
    e = head_parse(s, qr_buf_view(scratch));
    if (e == QR_ERR_NO_MEMORY) {
        return fail(s, e, "out of memory");
    }
    return e == QR_OK ? QR_OK
                      : fail(s, QR_ERR_STORE,
                             "the store's head is of a format this program does "
                             "not know; use the program that wrote it");
}

struct opening {
    struct qr_store *s;
    struct qr_buf *scratch;
};

static qr_err
check_row(void *ctx, const struct qr_db_row *row)
{
    struct opening *o = ctx;
    struct qr_store *s = o->s;
    struct row r = {.tab = row->tab, .serial = row->serial, .seen = 1};
    const char *table = table_name(row->tab);

    if (!is_table(row->tab) || !is_name(row->name)) {
        return fail(s, QR_ERR_STORE_CORRUPT,
                    "the store has a record that this program never "
                    "writes; replace it by the newest good copy");
    }
    memcpy(r.name, row->name, strlen(row->name));
    qr_sha256(row->sealed, r.hash);
    struct row *known = row_find(&s->rows, r.tab, r.name);
    if (is_chained(r.tab)) {
        if (!known || known->seen) {
            return fail(s, QR_ERR_STORE_CORRUPT,
                        "record %s/%s was added from outside; replace the store by the newest good "
                        "copy",
                        table, r.name);
        }
        if (known->serial != r.serial) {
            return fail(s, QR_ERR_STORE_CORRUPT,
                        "record %s/%s is of serial %llu, the newest is %llu: it was put back from "
                        "an old copy",
                        table, r.name, (unsigned long long)r.serial,
                        (unsigned long long)known->serial);
        }
        if (memcmp(known->hash, r.hash, 32) != 0) {
            return fail(s, QR_ERR_STORE_CORRUPT, "record %s/%s was changed from outside", table,
                        r.name);
        }
        known->seen = 1;
    } else {
        qr_err e = rows_reserve(&s->rows, s->rows.n + 1);
        if (e != QR_OK) {
            return fail(s, e, "the store has more than %u records", QR_STORE_ROWS_MAX);
        }
        row_set(&s->rows, &r);
    }
    o->scratch->len = 0;
    if (unseal(s, r.tab, r.serial, r.name, row->sealed, o->scratch) != QR_OK) {
        return fail(s, QR_ERR_STORE_CORRUPT,
                    "record %s/%s does not open: it was changed from outside or is another store's",
                    table, r.name);
    }
    return QR_OK;
}

static qr_err
check_all(struct qr_store *s)
{
    uint8_t *mem = qr_locked_alloc(QR_STORE_RECORD_MAX, NULL);
    struct qr_buf scratch = qr_buf_over(mem, QR_STORE_RECORD_MAX);
    struct opening o = {s, &scratch};

    if (!mem) {
        return fail(s, QR_ERR_NO_MEMORY, "out of memory");
    }
    s->error[0] = 0;
    qr_err e = head_read(s, &scratch);
    if (e == QR_OK) {
        e = qr_db_each(s->db, check_row, &o);
        if (e != QR_OK && !s->error[0]) {
            e = fail_db(s, e);
        }
    }
    for (size_t i = 0; e == QR_OK && i < s->rows.n; i++) {
        const struct row *r = &s->rows.row[i];
        if (!r->seen) {
            e = fail(s, QR_ERR_STORE_CORRUPT,
                     "record %s/%s is missing; replace the store by the newest good copy",
                     table_name(r->tab), r->name);
        }
    }
    qr_locked_free(mem);
    return e;
}

static qr_err
start_new(struct qr_store *s)
{
    randombytes_buf(s->id, sizeof s->id);
    qr_th(QR_TAG_STORE, QR_FIELDS(qr_view_str("new"), qr_view_of(s->id, sizeof s->id)), s->root);
    QR_TRY(head_write(s, 0, s->root, &s->rows));
    return fail_db(s, qr_db_commit(s->db));
}

qr_err
qr_store_open(const char *path, struct qr_tee *tee, struct qr_store **ret, int *ret_fresh,
              char *err_text, size_t err_cap)
{
    int fresh = 0;
    struct qr_store *s = qr_alloc(sizeof *s);

    if (!s) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    s->tee = tee;
    qr_dbuf_init(&s->sealed, QR_STORE_RECORD_MAX + QR_SEAL_OVERHEAD + 4096);
    qr_err e = qr_db_open(path, &s->db, &fresh, err_text, err_cap);
    if (e == QR_OK) {
        e = fresh ? start_new(s) : check_all(s);
        if (e != QR_OK) {
            if (!s->error[0]) {
                (void)fail(s, e, "%s", qr_err_text(e));
            }
            /* SQLite's own explanations name the file already. */
            EXPLAIN("%s%s%s", strstr(s->error, path) ? "" : path,
                    strstr(s->error, path) ? "" : ": ", s->error);
        }
    }
    if (e != QR_OK) {
        qr_store_close(s);
        return e;
    }
    *ret = s;
    *ret_fresh = fresh;
    return QR_OK;
}

struct qr_store *
qr_store_close(struct qr_store *s)
{
    if (s) {
        qr_db_close(s->db);
        qr_dbuf_free(&s->sealed);
        qr_free(s->rows.row);
    }
    return qr_free(s);
}

uint64_t
qr_store_serial(const struct qr_store *s)
{
    return s->serial;
}

const uint8_t *
qr_store_root(const struct qr_store *s)
{
    return s->root;
}

int
qr_store_writable(const struct qr_store *s)
{
    return !s->dead;
}

const char *
qr_store_error(const struct qr_store *s)
{
    return s->error;
}

/* Writing. */

/* What a commit makes of the store, beside it until it is durable. */
struct next {
    struct index rows;
    uint64_t serial;
    uint8_t root[32];
    int chained; /* the chain moves */
    /* fields of the new root */
    qr_view f[2 + 4 * QR_STORE_CHANGES_MAX];
    size_t n_f;
    uint8_t serial_be[8], op_tab[QR_STORE_CHANGES_MAX][3], hash[QR_STORE_CHANGES_MAX][32];
};

static qr_err
check_changes(struct qr_store *s, const struct qr_store_change *c, size_t n)
{
    size_t puts = 0;

    if (n < 1 || n > QR_STORE_CHANGES_MAX) {
        return fail(s, QR_ERR_USAGE, "%zu changes in a commit; 1 to %u are possible", n,
                    QR_STORE_CHANGES_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t tab = (uint16_t)c[i].table;
        if (!is_table(tab) || !is_name(c[i].name)) {
            return fail(s, QR_ERR_USAGE, "no such table, or a name outside [A-Za-z0-9._-]{1,64}");
        }
        if (c[i].del && !row_find(&s->rows, tab, c[i].name)) {
            return fail(s, QR_ERR_NOT_FOUND, "no record %s/%s", table_name(tab), c[i].name);
        }
        if (!c[i].del && c[i].value.len > QR_STORE_RECORD_MAX) {
            return fail(s, QR_ERR_TOO_LARGE, "record %s/%s has %zu bytes, at most %u are possible",
                        table_name(tab), c[i].name, c[i].value.len, QR_STORE_RECORD_MAX);
        }
        for (size_t k = 0; k < i; k++) {
            if (c[k].table == c[i].table && strcmp(c[k].name, c[i].name) == 0) {
                return fail(s, QR_ERR_USAGE, "record %s/%s twice in a commit", table_name(tab),
                            c[i].name);
            }
        }
        puts += !c[i].del && !row_find(&s->rows, tab, c[i].name);
    }
    if (s->rows.n + puts > QR_STORE_ROWS_MAX) {
        return fail(s, QR_ERR_STORE_FULL, "the store has %zu records, at most %u are possible",
                    s->rows.n, QR_STORE_ROWS_MAX);
    }
    return QR_OK;
}

static qr_err
next_init(const struct qr_store *s, const struct qr_store_change *c, size_t n, struct next *x)
{
    x->serial = s->serial;
    memcpy(x->root, s->root, 32);
    QR_TRY(rows_reserve(&x->rows,
                        s->rows.n + n < QR_STORE_ROWS_MAX ? s->rows.n + n : QR_STORE_ROWS_MAX));
    if (s->rows.n > 0) {
        memcpy(x->rows.row, s->rows.row, s->rows.n * sizeof s->rows.row[0]);
    }
    x->rows.n = s->rows.n;
    for (size_t i = 0; i < n; i++) {
        x->chained |= is_chained((uint16_t)c[i].table);
    }
    if (x->chained) {
        x->serial++;
        qr_put64(x->serial_be, x->serial);
        x->f[x->n_f++] = qr_view_of(s->root, 32);
        x->f[x->n_f++] = qr_view_of(x->serial_be, 8);
    }
    return QR_OK;
}

/* One change: the row, the index, and its part of the new root. */
static qr_err
apply(struct qr_store *s, const struct qr_store_change *c, size_t i, struct next *x)
{
    uint16_t tab = (uint16_t)c->table;
    const struct row *old = row_find(&x->rows, tab, c->name);
    struct row r = {.tab = tab};
    qr_view hash = qr_view_of(NULL, 0);

    if (c->del) {
        QR_TRY(fail_db(s, qr_db_del(s->db, tab, c->name)));
        row_drop(&x->rows, tab, c->name);
    } else {
        r.serial = is_chained(tab) ? x->serial : (old ? old->serial + 1 : 1);
        memcpy(r.name, c->name, strlen(c->name));
        qr_err e = seal(s, tab, r.serial, c->name, c->value);
        if (e != QR_OK) {
            return fail(s, e, "record %s/%s cannot be sealed: %s", table_name(tab), c->name,
                        qr_err_text(e));
        }
        const struct qr_db_row row = {tab, r.name, r.serial,
                                      qr_view_of(s->sealed.p, s->sealed.len)};
        QR_TRY(fail_db(s, qr_db_put(s->db, &row)));
        qr_sha256(row.sealed, r.hash);
        row_set(&x->rows, &r);
        memcpy(x->hash[i], r.hash, 32);
        hash = qr_view_of(x->hash[i], 32);
    }
    if (is_chained(tab)) {
        x->op_tab[i][0] = c->del ? 2 : 1;
        qr_put16(x->op_tab[i] + 1, tab);
        x->f[x->n_f++] = qr_view_of(x->op_tab[i], 1);
        x->f[x->n_f++] = qr_view_of(x->op_tab[i] + 1, 2);
        x->f[x->n_f++] = qr_view_str(c->name);
        x->f[x->n_f++] = hash;
    }
    return QR_OK;
}

static qr_err
write_all(struct qr_store *s, const struct qr_store_change *c, size_t n, struct next *x)
{
    QR_TRY(fail_db(s, qr_db_begin(s->db)));
    for (size_t i = 0; i < n; i++) {
        QR_TRY(apply(s, &c[i], i, x));
    }
    if (x->chained) {
        qr_th(QR_TAG_STORE, x->f, x->n_f, x->root);
        QR_TRY(head_write(s, x->serial, x->root, &x->rows));
    }
    return fail_db(s, qr_db_commit(s->db));
}

qr_err
qr_store_commit(struct qr_store *s, const struct qr_store_change *c, size_t n)
{
    struct next x = {.n_f = 0};

    if (s->dead) {
        return QR_ERR_STORE; /* the first failure's explanation stands */
    }
    s->error[0] = 0;
    QR_TRY(check_changes(s, c, n));
    if (next_init(s, c, n, &x) != QR_OK) {
        return fail(s, QR_ERR_NO_MEMORY, "out of memory");
    }
    qr_err e = write_all(s, c, n, &x);
    if (e != QR_OK) {
        if (!s->error[0]) {
            (void)fail(s, e, "%s", qr_err_text(e));
        }
        qr_db_rollback(s->db);
        s->dead = 1;
        qr_free(x.rows.row);
        return e;
    }
    qr_free(s->rows.row);
    s->rows = x.rows;
    s->serial = x.serial;
    memcpy(s->root, x.root, 32);
    return QR_OK;
}

qr_err
qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value)
{
    const struct qr_store_change c = {.table = t, .name = name, .value = value};
    return qr_store_commit(s, &c, 1);
}

qr_err
qr_store_del(struct qr_store *s, enum qr_table t, const char *name)
{
    const struct qr_store_change c = {.table = t, .name = name, .del = 1};
    return qr_store_commit(s, &c, 1);
}

/* Reading. */

qr_err
qr_store_get(struct qr_store *s, enum qr_table t, const char *name, struct qr_buf *out)
{
    const struct row *r = row_find(&s->rows, (uint16_t)t, name);
    uint64_t serial = 0;
    uint8_t hash[32];

    if (!r) {
        return QR_ERR_NOT_FOUND;
    }
    qr_err e = qr_db_get(s->db, r->tab, r->name, &serial, &s->sealed);
    if (e != QR_OK && e != QR_ERR_NOT_FOUND) {
        return fail_db(s, e);
    }
    qr_view sealed = qr_view_of(s->sealed.p, s->sealed.len);
    if (e == QR_OK) {
        qr_sha256(sealed, hash);
    }
    if (e != QR_OK || serial != r->serial || memcmp(hash, r->hash, 32) != 0) {
        return fail(s, QR_ERR_STORE_CORRUPT,
                    "record %s/%s was changed from outside while the store was open",
                    table_name(r->tab), r->name);
    }
    e = unseal(s, r->tab, serial, r->name, sealed, out);
    return e == QR_OK ? QR_OK
                      : fail(s, e, "record %s/%s: %s", table_name(r->tab), r->name, qr_err_text(e));
}

qr_err
qr_store_scan(struct qr_store *s, enum qr_table t, int (*fn)(void *ctx, const char *name),
              void *ctx)
{
    for (size_t i = lower_bound(&s->rows, (uint16_t)t, ""); i < s->rows.n; i++) {
        if (s->rows.row[i].tab != (uint16_t)t || fn(ctx, s->rows.row[i].name) != 0) {
            break;
        }
    }
    return QR_OK;
}
