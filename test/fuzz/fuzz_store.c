/*
 * A store whose files the host wrote.
 *
 * A good store is made once (five tables, two commits apart, an old copy of everything kept). The
 * first byte chooses: the file is the input; the good file with bytes changed, cut, or pages put back
 * from the old copy; a log beside it; records and head changed, exchanged and put back by SQL; a head
 * that is sealed rightly but holds what the input says. Must hold: it is refused with a sentence, or
 * what it gives is, record by record, what was put there; a store that opened takes a record and opens
 * again with it.
 */
#include "daemon/store.h"
#include "enclave-shim/seal.h"
#include "protocol/base/hash.h"
#include "test/common/testrng.h"
#include "test/fuzz/kit.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_MAX (256u * 1024u)

static const struct {
    enum qr_table table;
    const char *name, *old, *value; /* old NULL: not there in the old copy */
} records[] = {
    {QR_TABLE_META, "identity", "an identity", "an identity"},
    {QR_TABLE_META, "boot", "1", "2"},
    {QR_TABLE_KEY, "00ff", "key, pending", "key, active"},
    {QR_TABLE_DOC, "roster", "roster 1", "roster 2"},
    {QR_TABLE_PAIR, "1-2", NULL, "notice"},
    {QR_TABLE_PEER, "2", "serial 7", "serial 8"},
};
#define RECORDS (sizeof records / sizeof records[0])

static uint8_t good[IMAGE_MAX], old[IMAGE_MAX], image[IMAGE_MAX];
static size_t good_len, old_len;
static char path[128], wal[136];
static const struct qr_sec32 key = {{0x5e}};
static struct qr_testrng seed;

static qr_err
seal(void *ctx, uint32_t epoch, qr_view ad, qr_view plain, struct qr_buf *out)
{
    struct qr_rng rng = qr_testrng_rng(&seed);
    (void)ctx;
    return qr_seal_blob(&key, &rng, epoch, ad, plain, out);
}

static qr_err
unseal(void *ctx, uint32_t epoch, qr_view ad, qr_view sealed, struct qr_buf *out)
{
    (void)ctx;
    return qr_unseal_blob(&key, epoch, ad, sealed, out);
}

static struct qr_tee box = {.platform = QR_PLATFORM_SIM, .seal = seal, .unseal = unseal};

static struct qr_store *
must_open(void)
{
    struct qr_store *s = NULL;
    char why[512];
    int fresh;
    FUZZ_MUST(qr_store_open(path, &box, &s, &fresh, why, sizeof why) == QR_OK);
    return s;
}

static size_t
slurp(uint8_t *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    FUZZ_MUST(fd >= 0);
    ssize_t n = read(fd, out, IMAGE_MAX);
    FUZZ_MUST(n > 0 && (size_t)n < IMAGE_MAX);
    (void)close(fd);
    return (size_t)n;
}

/* Everything into the file itself. */
static void
fold(void)
{
    sqlite3 *h = NULL;
    FUZZ_MUST(sqlite3_open(path, &h) == SQLITE_OK);
    FUZZ_MUST(sqlite3_exec(h, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) == SQLITE_OK);
    (void)sqlite3_close(h);
    (void)unlink(wal);
}

static void
prepare(void)
{
    FUZZ_MUST(qr_hash_init() == QR_OK);
    qr_testrng_seed(&seed, "fuzz store");
    (void)snprintf(path, sizeof path, "%s/store.db", fuzz_dir());
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    for (int round = 0; round < 2; round++) {
        struct qr_store *s = must_open();
        for (size_t i = 0; i < RECORDS; i++) {
            const char *v = round ? records[i].value : records[i].old;
            if (v) {
                FUZZ_MUST(qr_store_put(s, records[i].table, records[i].name, qr_view_str(v)) ==
                          QR_OK);
            }
        }
        qr_store_close(s);
        fold();
        if (round == 0) {
            old_len = slurp(old);
        }
    }
    good_len = slurp(good);
}

/* ---- how the host writes -------------------------------------------------------------------- */

static size_t
mangle(struct fuzz_in *in)
{
    size_t len = good_len;
    memcpy(image, good, good_len);
    while (in->len > 0) {
        uint8_t op = fuzz_u8(in);
        size_t page = (size_t)fuzz_u8(in) % (len / 4096 + 1) * 4096;
        switch (op & 3) {
        case 0: /* inside a page; its head decides most */
            if (page + 4096 <= len) {
                image[page + (op & 4 ? fuzz_u8(in) : fuzz_u16(in) % 4096u)] = fuzz_u8(in);
            }
            break;
        case 1:
            if (page + 4096 <= len && page + 4096 <= old_len) {
                memcpy(image + page, old + page, 4096);
            }
            break;
        case 2:
            if (page + 4096 <= len && len >= 8192) {
                memmove(image + page, image + (len - 4096), 4096);
            }
            break;
        default:
            len = op & 4 ? (len > page ? page : len) : len - (len > 100 ? fuzz_u8(in) : 0);
            if (len < 4096) {
                return len;
            }
        }
    }
    return len;
}

static void
sql(sqlite3 *h, const char *text)
{
    (void)sqlite3_exec(h, text, NULL, NULL, NULL); /* a refusal is fine, too */
}

/* What a host with SQLite can do to rows, without the sealing key. */
static void
edit(struct fuzz_in *in)
{
    static const char *const what[] = {
        "UPDATE record SET serial=serial-1 WHERE tab=%u",
        "UPDATE record SET serial=-1 WHERE tab=%u",
        "UPDATE record SET name=name||'x' WHERE tab=%u",
        "UPDATE record SET name='' WHERE tab=%u",
        "UPDATE record SET tab=16 WHERE tab=%u",
        "UPDATE record SET tab=99 WHERE tab=%u",
        "DELETE FROM record WHERE tab=%u",
        "UPDATE record SET sealed=(SELECT sealed FROM record WHERE tab=1 LIMIT 1) WHERE tab=%u",
        "INSERT INTO record SELECT tab,name||'2',serial,sealed FROM record WHERE tab=%u",
        "INSERT INTO record SELECT 16,'3',serial,sealed FROM record WHERE tab=%u LIMIT 1",
        "UPDATE record SET sealed=zeroblob(5) WHERE tab=%u",
        "REPLACE INTO record SELECT * FROM o.record WHERE tab=%u",
        "REPLACE INTO head SELECT * FROM o.head WHERE %u",
        "DELETE FROM head WHERE %u",
        "UPDATE head SET sealed=(SELECT sealed FROM record LIMIT 1) WHERE %u",
        "CREATE TABLE more(x) /* %u */",
        "CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM head; END /* %u */",
        "CREATE VIEW v AS SELECT %u",
        "PRAGMA user_version=%u",
        "PRAGMA application_id=%u",
        "DROP TABLE head /* %u */",
    };
    sqlite3 *h = NULL;
    char text[256], attach[192];

    FUZZ_MUST(sqlite3_open(path, &h) == SQLITE_OK);
    (void)fuzz_file("old.db", 1, qr_view_of(old, old_len));
    (void)snprintf(attach, sizeof attach, "ATTACH '%s/old.db' AS o", fuzz_dir());
    sql(h, attach);
    while (in->len > 0) {
        uint8_t k = fuzz_u8(in), t = fuzz_u8(in);
        static const unsigned tabs[6] = {1, 2, 3, 4, 16, 0};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof text, what[k % (sizeof what / sizeof what[0])], tabs[t % 6]);
#pragma GCC diagnostic pop
        sql(h, text);
    }
    (void)sqlite3_close(h);
    (void)snprintf(text, sizeof text, "%s/old.db", fuzz_dir());
    (void)unlink(text);
    (void)unlink(wal);
}

/* A head that opens, of any content. */
static void
head(qr_view plain)
{
    uint8_t ad[32], mem[4096];
    struct qr_buf b = qr_buf_over(ad, sizeof ad), out = qr_buf_over(mem, sizeof mem);
    sqlite3 *h = NULL;
    sqlite3_stmt *st = NULL;

    qr_buf_put(&b, "quorate/store/1", 15);
    qr_buf_put16(&b, 0);
    qr_buf_put64(&b, 0);
    if (seal(NULL, 0, qr_buf_view(&b), plain, &out) != QR_OK) {
        return;
    }
    FUZZ_MUST(sqlite3_open(path, &h) == SQLITE_OK);
    FUZZ_MUST(sqlite3_prepare_v2(h, "UPDATE head SET sealed=?1", -1, &st, NULL) == SQLITE_OK);
    (void)sqlite3_bind_blob(st, 1, mem, (int)out.len, SQLITE_STATIC);
    FUZZ_MUST(sqlite3_step(st) == SQLITE_DONE);
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(h);
    (void)unlink(wal);
}

/* ---- what must hold ------------------------------------------------------------------------- */

static int
count(void *ctx, const char *name)
{
    (void)name;
    ++*(size_t *)ctx;
    return 0;
}

/* Every record is of one of the two states; the chained ones all of the same. */
static void
check(struct qr_store *s)
{
    static const enum qr_table tables[] = {QR_TABLE_META, QR_TABLE_KEY, QR_TABLE_DOC, QR_TABLE_PAIR,
                                           QR_TABLE_PEER};
    int olds = 1, news = 1;
    size_t n = 0, seen = 0;

    for (size_t i = 0; i < RECORDS; i++) {
        uint8_t mem[64];
        struct qr_buf b = qr_buf_over(mem, sizeof mem);
        qr_err e = qr_store_get(s, records[i].table, records[i].name, &b);
        const char *was = records[i].old, *is = records[i].value;
        FUZZ_MUST(e == QR_OK || e == QR_ERR_NOT_FOUND);
        int is_old = e == QR_OK ? was && qr_view_eq(qr_buf_view(&b), qr_view_str(was)) : !was;
        int is_new = e == QR_OK && qr_view_eq(qr_buf_view(&b), qr_view_str(is));
        seen += e == QR_OK;
        if (records[i].table == QR_TABLE_PEER) {
            FUZZ_MUST(e == QR_ERR_NOT_FOUND || is_old || is_new);
        } else {
            olds &= is_old;
            news &= is_new;
        }
    }
    FUZZ_MUST(olds || news);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        FUZZ_MUST(qr_store_scan(s, tables[i], count, &n) == QR_OK);
    }
    FUZZ_MUST(n == seen);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    struct qr_store *s = NULL;
    char why[512] = "";
    int fresh = 0, own = 0;

    if (!good_len) {
        prepare();
    }
    uint8_t how = fuzz_u8(&in);
    (void)unlink(path);
    (void)unlink(wal);
    (void)fuzz_file("store.db", 0, qr_view_of(good, good_len));
    switch (how % 5) {
    case 0:
        (void)fuzz_file("store.db", 0, qr_view_of(in.p, in.len));
        own = in.len == 0; /* SQLite's empty database: a new store */
        break;
    case 1:
        (void)fuzz_file("store.db", 0, qr_view_of(image, mangle(&in)));
        break;
    case 2:
        (void)fuzz_file("store.db-wal", 0, qr_view_of(in.p, in.len));
        break;
    case 3:
        edit(&in);
        break;
    default:
        head(qr_view_of(in.p, in.len));
        own = 1;
    }
    qr_err e = qr_store_open(path, &box, &s, &fresh, why, sizeof why);
    if (e != QR_OK) {
        FUZZ_MUST(why[0] && strnlen(why, sizeof why) < sizeof why);
        return 0;
    }
    if (!own && !fresh) {
        check(s);
    }
    if (qr_store_put(s, QR_TABLE_META, "boot", qr_view_str("3")) == QR_OK) {
        uint8_t mem[64];
        struct qr_buf b = qr_buf_over(mem, sizeof mem);
        qr_store_close(s);
        s = must_open();
        FUZZ_MUST(qr_store_get(s, QR_TABLE_META, "boot", &b) == QR_OK);
        FUZZ_MUST(qr_view_eq(qr_buf_view(&b), qr_view_str("3")));
    }
    qr_store_close(s);
    return 0;
}
