/*
 * The NSM's requests and answers. The reader knows the CBOR that answers are made of: unsigned
 * numbers, byte and text strings of definite length, true and false, and maps and arrays, also of
 * indefinite length (as documents of 2025 and later have them); anything else is refused.
 */
#include "enclave-shim/nitro/nsm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define RANDOM_MAX 256u
#define SKIP_DEPTH 8u
#define SKIP_ITEMS 128u
#define EXTEND_MAX 512u

enum major { UINT = 0, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, SIMPLE = 7 };
#define INDEFINITE UINT64_MAX
#define BREAK 0xffu

/* ---- failures -------------------------------------------------------------------------------- */

static qr_err fail(struct qr_nsm *n, qr_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static qr_err
fail(struct qr_nsm *n, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(n->why, sizeof n->why, format, ap);
    va_end(ap);
    return e;
}

static qr_err
garbage(struct qr_nsm *n, const char *call, const char *expected)
{
    return fail(n, QR_ERR_PLATFORM,
                "NSM %s: expected %s, found something else; the device or its driver is broken, "
                "restart the enclave",
                call, expected);
}

/* The module's own refusals, in words. */
static qr_err
refused(struct qr_nsm *n, const char *call, qr_view name)
{
    static const struct {
        const char *name, *words;
    } table[] = {
        {"InvalidArgument", "an argument is not allowed"},
        {"InvalidIndex", "there is no such PCR"},
        {"InvalidResponse", "the module's own answer was not valid; try again"},
        {"ReadOnlyIndex", "the PCR is locked"},
        {"InvalidOperation", "the module does not do this in its present state"},
        {"BufferTooSmall", "the answer does not fit the driver's buffer"},
        {"InputTooLarge", "a field is longer than the module takes"},
        {"InternalError", "the module failed inside; restart the enclave"},
    };
    char quoted[41];
    size_t len = name.len < sizeof quoted - 1 ? name.len : sizeof quoted - 1;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (qr_view_eq(name, qr_view_str(table[i].name))) {
            return fail(n, QR_ERR_PLATFORM, "NSM %s: %s (%s)", call, table[i].name, table[i].words);
        }
    }
    for (size_t i = 0; i < len; i++) {
        quoted[i] = name.p[i] >= 0x20 && name.p[i] < 0x7f ? (char)name.p[i] : '?';
    }
    quoted[len] = 0;
    return fail(n, QR_ERR_PLATFORM, "NSM %s: refused with an error we do not know, \"%s\"", call,
                quoted);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
put_head(struct qr_buf *b, enum major m, uint64_t u)
{
    uint8_t top = (uint8_t)(m << 5);
    if (u < 24) {
        qr_buf_put8(b, (uint8_t)(top | u));
    } else if (u <= 0xff) {
        qr_buf_put8(b, top | 24);
        qr_buf_put8(b, (uint8_t)u);
    } else {
        qr_buf_put8(b, top | 25);
        qr_buf_put16(b, (uint16_t)u); /* nothing here is longer than a request */
    }
}

static void
put_text(struct qr_buf *b, const char *s)
{
    qr_view v = qr_view_str(s);
    put_head(b, TEXT, v.len);
    qr_buf_put(b, v.p, v.len);
}

static void
put_bytes(struct qr_buf *b, qr_view v)
{
    put_head(b, BYTES, v.len);
    qr_buf_put(b, v.p, v.len);
}

/* {"call": {... `members` of them}} */
static struct qr_buf
request_of(struct qr_nsm *n, const char *call, unsigned members)
{
    struct qr_buf b = qr_buf_over(n->request, sizeof n->request);
    put_head(&b, MAP, 1);
    put_text(&b, call);
    put_head(&b, MAP, members);
    return b;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
    qr_view in;
    size_t pos;
    int bad; /* sticky */
};

struct item {
    enum major major;
    uint64_t u;   /* value, count (INDEFINITE: until a break), the byte of a simple value */
    qr_view body; /* of strings */
};

static int
at_end(const struct reader *r)
{
    return !r->bad && r->pos == r->in.len;
}

/* A head's argument of 1, 2, 4 or 8 bytes. */
static uint64_t
argument(struct reader *r, unsigned bytes)
{
    uint64_t u = 0;
    if (r->in.len - r->pos < bytes) {
        r->bad = 1;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++) {
        u = u << 8 | r->in.p[r->pos++];
    }
    return u;
}

/* The next item, or a container's head. A break is bad here: lists look for it before (more). */
static struct item
next(struct reader *r)
{
    struct item it = {.major = SIMPLE};

    if (r->bad || r->pos >= r->in.len) {
        r->bad = 1;
        return it;
    }
    uint8_t head = r->in.p[r->pos++], info = head & 31;
    it.major = (enum major)(head >> 5);
    if (info < 24) {
        it.u = info;
    } else if (info < 28) {
        it.u = argument(r, 1u << (info - 24));
    } else if (info == 31 && (it.major == ARRAY || it.major == MAP)) {
        it.u = INDEFINITE;
    } else {
        r->bad = 1;
    }
    if (it.major == SIMPLE) {
        it.u = head;
        r->bad |= head != 0xf4 && head != 0xf5 && head != 0xf6; /* false, true, null */
    } else if (it.major == BYTES || it.major == TEXT) {
        if (it.u > r->in.len - r->pos) {
            r->bad = 1;
            return it;
        }
        it.body = qr_view_of(r->in.p + r->pos, (size_t)it.u);
        r->pos += (size_t)it.u;
    } else if (it.major == ARRAY || it.major == MAP) {
        /* every element takes a byte at least */
        r->bad |= info != 31 && it.u > r->in.len - r->pos;
    } else if (it.major != UINT) {
        r->bad = 1; /* negative numbers and tags: no answer has any */
    }
    return it;
}

/* 1: the list has another element; *left counts a definite one down. */
static int
more(struct reader *r, uint64_t *left)
{
    if (r->bad) {
        return 0;
    }
    if (*left == INDEFINITE) {
        if (r->pos < r->in.len && r->in.p[r->pos] == BREAK) {
            r->pos++;
            return 0;
        }
        return 1;
    }
    if (*left == 0) {
        return 0;
    }
    --*left;
    return 1;
}

/* A member we do not know, whole; of an indefinite map the break must stand between two pairs. */
static void
skip(struct reader *r)
{
    struct {
        uint64_t left; /* elements, keys and values counted alike */
        int pairs, odd;
    } list[SKIP_DEPTH];
    unsigned depth = 0, items = 0;

    do {
        struct item it = next(r);
        if (r->bad || ++items > SKIP_ITEMS) {
            r->bad = 1;
            return;
        }
        if (it.major == ARRAY || it.major == MAP) {
            if (depth == SKIP_DEPTH || (it.u != INDEFINITE && it.u > SKIP_ITEMS)) {
                r->bad = 1;
                return;
            }
            list[depth].pairs = it.major == MAP;
            list[depth].left = it.u == INDEFINITE || it.major == ARRAY ? it.u : 2 * it.u;
            list[depth].odd = 1; /* turned even by the first element's announcement below */
            depth++;
        }
        while (depth > 0) {
            list[depth - 1].odd ^= 1;
            if (more(r, &list[depth - 1].left)) {
                break;
            }
            r->bad |= list[depth - 1].pairs && list[depth - 1].odd;
            depth--;
        }
    } while (depth > 0 && !r->bad);
}

/* What a member must be. */
struct member {
    const char *name;
    enum major major;
    uint64_t min, max; /* of a number, or of a string's length */
    struct item *ret;
    int optional, found;
};

/* Reads a map of such members in any order; every one that is not optional must be there, once. */
static int
read_members(struct reader *r, struct item head, struct member *m, size_t n)
{
    uint64_t left = head.u;

    if (head.major != MAP) {
        return 0;
    }
    while (more(r, &left)) {
        struct item key = next(r);
        size_t i = 0;
        if (r->bad || key.major != TEXT) {
            return 0;
        }
        while (i < n && !qr_view_eq(key.body, qr_view_str(m[i].name))) {
            i++;
        }
        if (i == n) {
            skip(r);
            continue;
        }
        struct item it = next(r);
        uint64_t size = it.major == UINT ? it.u : it.body.len;
        int sized = it.major == UINT || it.major == BYTES || it.major == TEXT;
        if (r->bad || m[i].found || it.major != m[i].major ||
            (sized && (size < m[i].min || size > m[i].max))) {
            return 0;
        }
        m[i].found = 1;
        *m[i].ret = it;
        if (it.major == ARRAY) { /* its elements are the caller's, who reads them from here */
            uint64_t elements = it.u;
            m[i].ret->body = qr_view_of(r->in.p + r->pos, r->in.len - r->pos);
            while (more(r, &elements)) {
                struct item el = next(r);
                if (el.major != UINT) {
                    return 0;
                }
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (!m[i].found && !m[i].optional) {
            return 0;
        }
    }
    return !r->bad;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int
worth_another_try(int e)
{
    return e == EINTR || e == EAGAIN || e == EBUSY || e == ETIMEDOUT;
}

static qr_err
ioctl_failed(struct qr_nsm *n, const char *call, int e)
{
    switch (e) {
    case EACCES:
    case EPERM:
        return fail(n, QR_ERR_PLATFORM,
                    "NSM %s: the kernel denies it (%s); a filter of system calls or the device's "
                    "owner is in the way",
                    call, strerror(e));
    case ENOTTY:
    case EINVAL:
        return fail(n, QR_ERR_PLATFORM,
                    "NSM %s: %s; this is no NSM, or a driver of another interface", call,
                    strerror(e));
    case EINTR:
    case EAGAIN:
    case EBUSY:
    case ETIMEDOUT:
        return fail(n, QR_ERR_PLATFORM, "NSM %s: still busy after %u tries (%s); try again later",
                    call, QR_NSM_TRIES, strerror(e));
    default:
        return fail(n, QR_ERR_PLATFORM, "NSM %s: %s", call, strerror(e));
    }
}

/* Sends what lies in n->request; the answer's bytes, of a plausible length, in *ret. */
static qr_err
exchange(struct qr_nsm *n, const char *call, const struct qr_buf *request, qr_view *ret)
{
    size_t len = 0;
    int e = 0;
    unsigned pause_ms = 1;

    if (request->err != QR_OK) {
        return fail(n, QR_ERR_USAGE, "NSM %s: the request is longer than %u bytes", call,
                    QR_NSM_REQUEST_MAX);
    }
    for (unsigned i = 0; i < QR_NSM_TRIES; i++) {
        e = n->dev.exchange(n->dev.ctx, request->p, request->len, n->answer, sizeof n->answer,
                            &len);
        if (!worth_another_try(e) || i + 1 == QR_NSM_TRIES) {
            break;
        }
        n->dev.pause(n->dev.ctx, pause_ms);
        pause_ms *= 2;
    }
    if (e != 0) {
        return ioctl_failed(n, call, e);
    }
    if (len == 0 || len > sizeof n->answer) {
        return fail(n, QR_ERR_PLATFORM, "NSM %s: expected an answer of 1 to %zu bytes, found %zu",
                    call, sizeof n->answer, len);
    }
    *ret = qr_view_of(n->answer, len);
    return QR_OK;
}

/* {"Error": name}, and nothing else. */
static int
is_error(struct reader r, qr_view *ret_name)
{
    struct item map = next(&r);
    uint64_t left = map.u;
    if (map.major != MAP || !more(&r, &left)) {
        return 0;
    }
    struct item key = next(&r), value = next(&r);
    if (r.bad || key.major != TEXT || !qr_view_eq(key.body, qr_view_str("Error")) ||
        value.major != TEXT || more(&r, &left) || !at_end(&r)) {
        return 0;
    }
    *ret_name = value.body;
    return 1;
}

/* Asks, and reads {"call": {members}}. */
static qr_err
ask(struct qr_nsm *n, const char *call, const struct qr_buf *request, struct member *m,
    size_t count)
{
    qr_view answer, name;

    QR_TRY(exchange(n, call, request, &answer));
    struct reader r = {.in = answer};
    if (is_error(r, &name)) {
        return refused(n, call, name);
    }
    struct item map = next(&r);
    uint64_t left = map.u;
    if (map.major != MAP || !more(&r, &left)) {
        return garbage(n, call, "a map with the answer");
    }
    struct item key = next(&r);
    if (r.bad || key.major != TEXT || !qr_view_eq(key.body, qr_view_str(call))) {
        return garbage(n, call, "the answer to this very question");
    }
    if (!read_members(&r, next(&r), m, count)) {
        return garbage(n, call, "all members of the answer, once, of their types and lengths");
    }
    if (more(&r, &left) || !at_end(&r)) {
        return garbage(n, call, "the answer's end");
    }
    return QR_OK;
}

/* A question that is a text alone. */
static struct qr_buf
text_request(struct qr_nsm *n, const char *call)
{
    struct qr_buf b = qr_buf_over(n->request, sizeof n->request);
    put_text(&b, call);
    return b;
}

/* ---- calls ----------------------------------------------------------------------------------- */

void
qr_nsm_over(struct qr_nsm *n, const struct qr_nsm_dev *dev)
{
    memset(n, 0, sizeof *n);
    n->dev = *dev;
}

void
qr_nsm_close(struct qr_nsm *n)
{
    if (n->dev.close) {
        n->dev.close(n->dev.ctx);
    }
    explicit_bzero(n, sizeof *n);
}

qr_err
qr_nsm_describe(struct qr_nsm *n, struct qr_nsm_info *ret)
{
    static const char call[] = "DescribeNSM";
    struct item major, minor, patch, id, max, locked, digest;
    struct member m[] = {
        {"version_major", UINT, 0, UINT16_MAX, &major, 0, 0},
        {"version_minor", UINT, 0, UINT16_MAX, &minor, 0, 0},
        {"version_patch", UINT, 0, UINT16_MAX, &patch, 0, 0},
        {"module_id", TEXT, 1, sizeof ret->module_id - 1, &id, 0, 0},
        {"max_pcrs", UINT, 1, QR_NSM_PCRS, &max, 0, 0},
        {"locked_pcrs", ARRAY, 0, 0, &locked, 0, 0},
        {"digest", TEXT, 1, 32, &digest, 0, 0},
    };
    struct qr_nsm_info info = {0};
    struct qr_buf b = text_request(n, call);

    QR_TRY(ask(n, call, &b, m, sizeof m / sizeof m[0]));
    if (!qr_view_eq(digest.body, qr_view_str("SHA384"))) {
        return garbage(n, call, "the digest SHA384");
    }
    for (size_t i = 0; i < id.body.len; i++) {
        if (id.body.p[i] <= 0x20 || id.body.p[i] >= 0x7f) {
            return garbage(n, call, "a module_id of printable ASCII");
        }
        info.module_id[i] = (char)id.body.p[i];
    }
    struct reader r = {.in = locked.body};
    uint64_t left = locked.u;
    while (more(&r, &left)) {
        uint64_t i = next(&r).u;
        if (i >= max.u || (info.locked >> i & 1) != 0) {
            return garbage(n, call, "each locked PCR once, below max_pcrs");
        }
        info.locked |= UINT32_C(1) << i;
    }
    info.version_major = (uint16_t)major.u;
    info.version_minor = (uint16_t)minor.u;
    info.version_patch = (uint16_t)patch.u;
    info.max_pcrs = (uint16_t)max.u;
    *ret = info;
    return QR_OK;
}

static int
is_constant(qr_view v)
{
    uint8_t differs = 0;
    for (size_t i = 1; i < v.len; i++) {
        differs |= v.p[i] ^ v.p[0];
    }
    return v.len >= 16 && differs == 0;
}

qr_err
qr_nsm_random(struct qr_nsm *n, uint8_t *out, size_t len)
{
    static const char call[] = "GetRandom";
    size_t at = 0;
    qr_err e = QR_OK;

    while (at < len && e == QR_OK) {
        struct item random;
        struct member m[] = {{"random", BYTES, 1, RANDOM_MAX, &random, 0, 0}};
        struct qr_buf b = text_request(n, call);

        e = ask(n, call, &b, m, 1);
        if (e == QR_OK && is_constant(random.body)) {
            e = garbage(n, call, "random bytes that differ from each other");
        }
        if (e == QR_OK) {
            size_t take = random.body.len < len - at ? random.body.len : len - at;
            memcpy(out + at, random.body.p, take);
            at += take;
        }
        explicit_bzero(n->answer, sizeof n->answer);
    }
    if (e != QR_OK) {
        explicit_bzero(out, at);
    }
    return e;
}

qr_err
qr_nsm_pcr(struct qr_nsm *n, unsigned index, uint8_t ret[static QR_NSM_PCR_LEN], int *ret_locked)
{
    static const char call[] = "DescribePCR";
    struct item lock, data;
    struct member m[] = {{"lock", SIMPLE, 0, 0, &lock, 0, 0},
                         {"data", BYTES, QR_NSM_PCR_LEN, QR_NSM_PCR_LEN, &data, 0, 0}};

    if (index >= QR_NSM_PCRS) {
        return fail(n, QR_ERR_USAGE, "NSM %s: there is no PCR %u", call, index);
    }
    struct qr_buf b = request_of(n, call, 1);
    put_text(&b, "index");
    put_head(&b, UINT, index);
    QR_TRY(ask(n, call, &b, m, 2));
    if (lock.u != 0xf4 && lock.u != 0xf5) {
        return garbage(n, call, "true or false for lock");
    }
    memcpy(ret, data.body.p, QR_NSM_PCR_LEN);
    *ret_locked = lock.u == 0xf5;
    return QR_OK;
}

qr_err
qr_nsm_extend(struct qr_nsm *n, unsigned index, qr_view data, uint8_t ret[static QR_NSM_PCR_LEN])
{
    static const char call[] = "ExtendPCR";
    struct item after;
    struct member m[] = {{"data", BYTES, QR_NSM_PCR_LEN, QR_NSM_PCR_LEN, &after, 0, 0}};

    if (index < QR_NSM_PCR_FIRST_FREE || index >= QR_NSM_PCRS || data.len == 0 ||
        data.len > EXTEND_MAX) {
        return fail(n, QR_ERR_USAGE,
                    "NSM %s: PCR %u with %zu bytes; %u to %u may be extended, with 1 to %u bytes",
                    call, index, data.len, QR_NSM_PCR_FIRST_FREE, QR_NSM_PCRS - 1, EXTEND_MAX);
    }
    struct qr_buf b = request_of(n, call, 2);
    put_text(&b, "index");
    put_head(&b, UINT, index);
    put_text(&b, "data");
    put_bytes(&b, data);
    QR_TRY(ask(n, call, &b, m, 1));
    memcpy(ret, after.body.p, QR_NSM_PCR_LEN);
    return QR_OK;
}

qr_err
qr_nsm_lock(struct qr_nsm *n, unsigned index)
{
    static const char call[] = "LockPCR";
    qr_view answer, name;

    if (index < QR_NSM_PCR_FIRST_FREE || index >= QR_NSM_PCRS) {
        return fail(n, QR_ERR_USAGE, "NSM %s: PCR %u is not ours to lock", call, index);
    }
    struct qr_buf b = request_of(n, call, 1);
    put_text(&b, "index");
    put_head(&b, UINT, index);
    QR_TRY(exchange(n, call, &b, &answer));
    struct reader r = {.in = answer};
    if (is_error(r, &name)) {
        return refused(n, call, name);
    }
    struct item it = next(&r);
    if (it.major != TEXT || !qr_view_eq(it.body, qr_view_str(call)) || !at_end(&r)) {
        return garbage(n, call, "the word LockPCR");
    }
    return QR_OK;
}

static void
put_field(struct qr_buf *b, const char *name, qr_view v)
{
    put_text(b, name);
    if (v.p) {
        put_bytes(b, v);
    } else {
        qr_buf_put8(b, 0xf6);
    }
}

qr_err
qr_nsm_attest(struct qr_nsm *n, qr_view user_data, qr_view nonce, qr_view public_key,
              struct qr_buf *out)
{
    static const char call[] = "Attestation";
    struct item document;
    struct member m[] = {{"document", BYTES, 1, QR_NSM_ANSWER_MAX, &document, 0, 0}};

    if (user_data.len > QR_NSM_USER_DATA_MAX || nonce.len > QR_NSM_NONCE_MAX ||
        public_key.len > QR_NSM_PUBLIC_KEY_MAX) {
        return fail(
            n, QR_ERR_USAGE,
            "NSM %s: user_data, nonce and public_key of %zu, %zu and %zu bytes; at most %u, "
            "%u and %u",
            call, user_data.len, nonce.len, public_key.len, QR_NSM_USER_DATA_MAX, QR_NSM_NONCE_MAX,
            QR_NSM_PUBLIC_KEY_MAX);
    }
    struct qr_buf b = request_of(n, call, 3);
    put_field(&b, "user_data", user_data);
    put_field(&b, "nonce", nonce);
    put_field(&b, "public_key", public_key);
    QR_TRY(ask(n, call, &b, m, 1));
    if (out->err || document.body.len > out->cap - out->len) {
        return fail(n, QR_ERR_NO_SPACE, "NSM %s: a document of %zu bytes does not fit", call,
                    document.body.len);
    }
    qr_buf_put(out, document.body.p, document.body.len);
    return QR_OK;
}
