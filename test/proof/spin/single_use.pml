/*
 * Presignature single use and coordinator hand-over, with crashes, clones, rolled back stores, and a
 * network that loses, repeats, delays and replays.
 *
 * What is modelled, and where it stands in the product
 *   process     one boot of one party: memory of its own, a fresh boot nonce (party_state.c). A crash
 *               wipes the memory. A party may get a new process while an old one still runs: a clone.
 *   presignature one slot; a half in the memory of each member's process (pool.c, party_batch.c). A
 *               member holds its half first; the owner's becomes spendable after all others reported.
 *   store       the boot counter. The host may boot a process from any earlier state of it. (What else
 *               the store holds, keys and documents, is the same for all that happens here. The check
 *               of store serials between peers is left out: everybody links with everybody, which
 *               allows more than the product does.)
 *   request     from a client, to any coordinator, repeated at will; or forged by the host. A process
 *               takes only what was issued after its own start (window.c) and has a valid stamp.
 *   run         a request in one coordinator's hands (party_sign.c): waiting for a presignature, asking
 *               the members of one set, moved to another presignature at any time, given up at any time.
 *   message     once sent it exists for ever: it can be delivered any number of times, at any later
 *               moment, to any process that accepts it, or never. So loss, repetition, reordering, delay
 *               across restarts and replay by the host are all in, and stronger than the channel allows.
 *
 * What is claimed (the numbers of CLAIM below)
 *   1 a half answers at most once; 2 a presignature answers in one context (request, digest) only;
 *   3 it answers from the memory of the very process it was made in; 4 only for requests whose stamp is
 *   valid and that were issued after the process started, at every member; 5 a signature is released
 *   only with every member's share in that context; 6 a process releases a request once; 7 a late
 *   share of an attempt that was left is never taken for a wrong share of the present one; and, with
 *   LIVE, 8 under weak fairness every request ends.
 *
 * One protection taken out (run.sh demands that each of these is refuted)
 *   NO_CONSUME_FIRST   a half is answered from, and taken out of the pool some time later
 *   NO_BOOT_NONCE      ids and the acceptance of messages know parties, not processes
 *   NONCE_FROM_STORE   the nonce is the store's boot counter, which the host can roll back
 *   PERSIST            presignatures are kept in the store
 *   NO_JUDGE           a member trusts the coordinator's word about a request (with EVIL)
 *   ATTEMPT_PER_RUN    the attempt number in messages starts again with each run
 *   NO_DEADLINE        (with LIVE) a request waits for as long as it takes
 *
 * EVIL: party 0 is hostile as a coordinator and as an owner: it asks for any of its presignatures, in
 * any context, as often as it likes, forged requests included.
 */

#ifndef N
#define N 3 /* parties */
#define T 2 /* members of a set */
#endif
#ifndef C
#define C 2 /* parties 0..C-1 are asked by clients, and own presignatures */
#endif
#ifndef P
#define P 2 /* presignatures */
#endif
#ifndef R
#define R 2 /* contexts: (request, digest). With EVIL the last is forged, without a client's stamp */
#endif
#ifndef BOOTS
#define BOOTS 2 /* processes beside the first of each party */
#endif
#ifndef ASKS
#define ASKS 3 /* times a client (or the host) asks, repetitions included */
#endif
#ifndef MOVES
#define MOVES 1 /* of a run to another presignature, before it gives up */
#endif
#define Q (N + BOOTS)

/* A half. */
#define NONE 0
#define HELD 1
#define TAKEN 2 /* out of the pool, not yet answered */
#define GONE 3

/* What is claimed; a trace that is replayed is told which claim its step breaks. */
#ifdef REPLAY
#define CLAIM(n, c) if :: (c) || why -> skip :: else -> why = n fi
byte why;
#else
#define CLAIM(n, c) assert(c)
#endif

#define IDLE 0
#define WAIT 1
#define DONE 2
#define FAILED 3

#define NOBODY 255

#ifdef EVIL
#define VALID(r) ((r) != R - 1)
#else
#define VALID(r) 1
#endif


/* Processes. */
byte nq = N;
byte pty[Q];
bit alive[Q];
byte fresh[Q]; /* bit r: issued since this process started */
byte issued;

/* Presignatures; I(p, n) is party n's half. */
#define I(p, n) ((p) * N + (n))
byte np;
byte oq[P];      /* the owner's process */
byte set[P];      /* bit n: party n is a member */
byte h[P * N];   /* NONE, HELD, TAKEN, GONE */
byte hp[P * N];  /* the process the half was made in */
byte cx[P * N];  /* 1 + the context this half answered in; 0: none */
byte sent[P];    /* bit r: the members were asked for it in context r */

/* Runs; J(q, r). */
#define J(q, r) ((q) * R + (r))
byte rs[Q * R];
byte cur[Q * R]; /* the presignature asked for; NOBODY: waits for one */
byte mv[Q * R];
byte asks;

#ifndef REPLAY
byte disk[N]; /* the newest boot counter ever written; all below are earlier states */
byte ctr[Q];
#endif

#if defined(NO_BOOT_NONCE)
#define NONCE(q) 0
#elif defined(NONCE_FROM_STORE)
#define NONCE(q) ctr[q]
#else
#define NONCE(q) (q)
#endif

#if defined(NO_BOOT_NONCE) || defined(NONCE_FROM_STORE)
byte kk[P]; /* how many its owner's process had begun before it */
byte begun[Q];
/* What an id is made of: who, in which boots, and a counter. */
#define SAME_ID(a, b) ((a) == (b) || (pty[oq[a]] == pty[oq[b]] && set[a] == set[b] && \
    NONCE(oq[a]) == NONCE(oq[b]) && kk[a] == kk[b]))
#else
#define SAME_ID(a, b) ((a) == (b)) /* 32 random bytes are in it */
#endif

#ifdef PERSIST
byte born[P * N]; /* the process it was really made in */
#endif
#ifdef ATTEMPT_PER_RUN
byte at[P]; /* the attempt number its SIGN_REQUEST carried */
#define ATTEMPT(q, r) (mv[J(q, r)] + 1)
#endif

#ifdef EVIL
#define HONEST(n) ((n) != 0)
#else
#define HONEST(n) 1
#endif

#define IN(p, n) (set[p] & (1 << (n)))
#define OWNER(p) pty[oq[p]]

byte i_; /* loops; always left at 0 */

/* These are only used inside d_step. */
inline take(p, n)
{
#ifndef NO_CONSUME_FIRST
    h[I(p, n)] = TAKEN
#else
    skip
#endif
}

inline answer(p, n, x, r)
{
    CLAIM(1, cx[I(p, n)] == 0);
    i_ = 0;
    do
    :: i_ < N ->
        CLAIM(2, !HONEST(i_) || cx[I(p, i_)] == 0 || cx[I(p, i_)] == (r) + 1);
        i_++
    :: else -> break
    od;
    i_ = 0;
#ifdef PERSIST
    CLAIM(3, alive[x] && born[I(p, n)] == x);
#else
    CLAIM(3, alive[x] && hp[I(p, n)] == x);
#endif
#ifndef REPLAY
    CLAIM(4, VALID(r) && (fresh[x] & (1 << (r))));
#endif
    cx[I(p, n)] = (r) + 1;
    if
    :: h[I(p, n)] == TAKEN -> h[I(p, n)] = GONE
    :: else -> skip
    fi
}

/* p: the presignature of the present attempt. */
inline released(q, r, p)
{
    i_ = 0;
    do
    :: i_ < N ->
        CLAIM(5, !IN(p, i_) || cx[I(p, i_)] == (r) + 1);
        i_++
    :: else -> break
    od;
    i_ = 0;
    CLAIM(6, rs[J(q, r)] == WAIT);
    rs[J(q, r)] = DONE;
    cur[J(q, r)] = NOBODY;
    mv[J(q, r)] = 0
}

/* Members other than the owner that have no half yet. */
byte missing_;
inline count_missing(p)
{
    missing_ = 0;
    i_ = 0;
    do
    :: i_ < N ->
        if
        :: IN(p, i_) && i_ != OWNER(p) && h[I(p, i_)] == NONE -> missing_++
        :: else -> skip
        fi;
        i_++
    :: else -> break
    od;
    i_ = 0
}

/* ---- transitions: guard and effect ---------------------------------------------------------- */

#ifdef REPLAY
#define CAN_JUDGE(q, r) 1 /* a trace has no times of issue; the simulator checks them itself */
#else
#define CAN_JUDGE(q, r) (VALID(r) && (fresh[q] & (1 << (r))))
#endif

/* A member's half is ready; the first one also says whose presignature it is (who may be gone by now). */
#define CAN_MADE_FIRST(q, s, n, x) \
    (np < P && (q) < nq && alive[x] && pty[x] == (n) && pty[q] != (n) && \
     ((s) & (1 << (n))) && ((s) & (1 << pty[q])))
inline made_first(q, s, n, x)
{
    oq[np] = q;
    set[np] = s;
#if defined(NO_BOOT_NONCE) || defined(NONCE_FROM_STORE)
    kk[np] = begun[q];
    begun[q]++;
#endif
    made_half(np, n, x);
    np++
}
#define CAN_MADE_HALF(p, n, x) \
    ((p) < np && alive[x] && pty[x] == (n) && IN(p, n) && h[I(p, n)] == NONE && (n) != OWNER(p))
inline made_half(p, n, x)
{
    h[I(p, n)] = HELD;
    hp[I(p, n)] = x;
#ifdef PERSIST
    born[I(p, n)] = x;
#endif
}
/* The owner's, after everybody else's: call count_missing(p) before. */
#define CAN_MADE_OWNER(p) \
    ((p) < np && alive[oq[p]] && h[I(p, OWNER(p))] == NONE && missing_ == 0)
inline made_owner(p)
{
    made_half(p, OWNER(p), oq[p])
}

#define CAN_DROP(p, n) ((p) < np && h[I(p, n)] == HELD)
inline drop(p, n)
{
    h[I(p, n)] = GONE
}

/* A client asks; the first time, the request is issued, which every process alive now can judge. */
#define CAN_BEGIN(q, r) (alive[q] && CAN_JUDGE(q, r) && (rs[J(q, r)] == IDLE || rs[J(q, r)] == FAILED))
inline begin(q, r)
{
    rs[J(q, r)] = WAIT;
    cur[J(q, r)] = NOBODY;
    mv[J(q, r)] = 0
}
inline issue(r)
{
    issued = issued | (1 << (r));
    i_ = 0;
    do
    :: i_ < nq ->
        if
        :: alive[i_] -> fresh[i_] = fresh[i_] | (1 << (r))
        :: else -> skip
        fi;
        i_++
    :: else -> break
    od;
    i_ = 0
}

/* The coordinator spends one of its own: out of the pool first, then its own share, then the others. */
#define CAN_CHOOSE(q, r, p) \
    ((p) < np && alive[q] && rs[J(q, r)] == WAIT && cur[J(q, r)] == NOBODY && oq[p] == (q) && \
     h[I(p, OWNER(p))] == HELD)
inline choose(q, r, p)
{
    take(p, OWNER(p));
    answer(p, OWNER(p), q, r);
    cur[J(q, r)] = p;
    sent[p] = sent[p] | (1 << (r));
#ifdef ATTEMPT_PER_RUN
    at[p] = ATTEMPT(q, r);
#endif
}

/* The request for p in context r reaches process x of party n, which finds p2 under that id. */
#define ACCEPTS(x, p, n) \
    (alive[x] && pty[x] == (n) && IN(p, n) && (n) != OWNER(p) && NONCE(x) == NONCE(hp[I(p, n)]))
#ifdef NO_JUDGE
#define MEMBER_JUDGES(x, r) 1
#else
#define MEMBER_JUDGES(x, r) CAN_JUDGE(x, r)
#endif
#define CAN_SHARE(p, r, n, x, p2) \
    ((p) < np && (p2) < np && (sent[p] & (1 << (r))) && ACCEPTS(x, p, n) && SAME_ID(p, p2) && \
     h[I(p2, n)] == HELD && hp[I(p2, n)] == (x) && MEMBER_JUDGES(x, r))
inline share(r, n, x, p2)
{
    take(p2, n);
    answer(p2, n, x, r)
}

#define CAN_RELEASE(q, r) (alive[q] && rs[J(q, r)] == WAIT && cur[J(q, r)] != NOBODY)

#define CAN_MOVE(q, r) (alive[q] && rs[J(q, r)] == WAIT && cur[J(q, r)] != NOBODY)
inline move(q, r)
{
    cur[J(q, r)] = NOBODY;
#ifndef REPLAY
    if
    :: mv[J(q, r)] >= MOVES -> rs[J(q, r)] = FAILED; mv[J(q, r)] = 0
    :: else -> mv[J(q, r)]++
    fi
#endif
}
#define CAN_GIVE_UP(q, r) (alive[q] && rs[J(q, r)] == WAIT && cur[J(q, r)] == NOBODY)
inline give_up(q, r)
{
    rs[J(q, r)] = FAILED;
    cur[J(q, r)] = NOBODY;
    mv[J(q, r)] = 0
}

/* Memory goes: halves, runs, the replay table. (Not what PERSIST keeps in the store.) */
#define CAN_CRASH(q) ((q) < nq && alive[q])
inline crash(q)
{
    alive[q] = 0;
    fresh[q] = 0;
#ifndef PERSIST
    i_ = 0;
    do
    :: i_ < P ->
        if
        :: (h[I(i_, pty[q])] == HELD || h[I(i_, pty[q])] == TAKEN) && hp[I(i_, pty[q])] == q -> h[I(i_, pty[q])] = GONE
        :: else -> skip
        fi;
        i_++
    :: else -> break
    od;
#endif
    i_ = 0;
    do
    :: i_ < R ->
        rs[J(q, i_)] = IDLE;
        cur[J(q, i_)] = NOBODY;
        mv[J(q, i_)] = 0;
        i_++
    :: else -> break
    od;
    i_ = 0
}

/* From the newest state of the store or from any earlier one. */
#define CAN_BOOT (nq < Q)
inline boot(n)
{
    pty[nq] = n;
    alive[nq] = 1;
    i_ = 0;
    do
    :: i_ < R -> cur[J(nq, i_)] = NOBODY; i_++
    :: else -> break
    od;
    i_ = 0
}
#ifndef REPLAY
inline load(n, back)
{
    ctr[nq] = disk[n] - back + 1;
    if
    :: ctr[nq] > disk[n] -> disk[n] = ctr[nq]
    :: else -> skip
    fi;
#ifdef PERSIST
    i_ = 0;
    do
    :: i_ < np ->
        /* The newest state has what was not spent; an earlier one may have what was. */
        if
        :: (back > 0 && h[I(i_, n)] == GONE) || h[I(i_, n)] == HELD ->
            h[I(i_, n)] = HELD;
            hp[I(i_, n)] = nq;
            if
            :: OWNER(i_) == n -> oq[i_] = nq
            :: else -> skip
            fi
        :: else -> skip
        fi;
        i_++
    :: else -> break
    od;
    i_ = 0;
#endif
    skip
}
#endif
