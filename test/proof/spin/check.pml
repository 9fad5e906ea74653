/*
 * The exhaustive check of single_use.pml: every order of every transition, up to the bounds in its head.
 * Parameters are written out, so that each transition is one indivisible step.
 *
 * Left out here, because what can be left undone covers it:
 *   a crash without a restart, a stalled process    it takes no further step
 *   a half dropped, a batch that fails half-way     it is never used
 *   a member's half without the owner's             the owner never chooses it
 * A new process comes in two kinds: a restart, which ends the party's earlier ones and wipes their
 * memory in the same step, and a clone, beside which they go on.
 * Of executions that differ in names only, one is looked at: requests are issued in the order of their
 * numbers, and (parties 0 and 1 having the same part) party 0 owns the first presignature.
 */
#include "single_use.pml"

#ifdef EVIL
#define FIRST_IS(n) 1
#else
#define FIRST_IS(n) (np > 0 || (n) == 0)
#endif

#define MADE(s, n, q, x) \
    :: d_step { CAN_MADE_FIRST(q, s, n, x) && alive[q] && pty[q] < C && FIRST_IS(pty[q]) -> made_first(q, s, n, x); made_owner(np - 1) /* t = 2 */ }
#define MADE_X(s, n, q) MADE(s, n, q, 0) MADE(s, n, q, 1) MADE(s, n, q, 2) MADE_MORE(s, n, q)
#if BOOTS == 0
#define MADE_MORE(s, n, q)
#elif BOOTS == 1
#define MADE_MORE(s, n, q) MADE(s, n, q, 3)
#else
#define MADE_MORE(s, n, q) MADE(s, n, q, 3) MADE(s, n, q, 4)
#endif
/* Sets {0,1}, {0,2}, {1,2}; q coordinates, so it is of party 0 or 1. */
#define MADE_Q(q) MADE_X(3, 0, q) MADE_X(3, 1, q) MADE_X(5, 2, q) MADE_X(6, 2, q)


/* A client; nobody issues what is forged, and what a hostile coordinator does is in EVILS. */
#define ASK(q, r) \
    :: d_step { asks < ASKS && alive[q] && pty[q] < C && HONEST(pty[q]) && VALID(r) && \
        ((r) == 0 || (issued & (1 << ((r) - 1)))) && \
        (!(issued & (1 << (r))) || (CAN_JUDGE(q, r) && rs[J(q, r)] != WAIT)) -> \
        asks++; \
        if \
        :: !(issued & (1 << (r))) -> issue(r) \
        :: else -> skip \
        fi; \
        if \
        :: CAN_BEGIN(q, r) -> begin(q, r) \
        :: else -> skip \
        fi }

#define CHOOSE(q, r, p) :: d_step { CAN_CHOOSE(q, r, p) -> choose(q, r, p) }
#define SHARE(p, r, n, x, p2) \
    :: d_step { CAN_SHARE(p, r, n, x, p2) -> share(r, n, x, p2) }
#ifdef NO_CONSUME_FIRST
#define LATE(p, n) :: d_step { (p) < np && h[I(p, n)] == HELD && cx[I(p, n)] != 0 -> h[I(p, n)] = GONE }
#else
#define LATE(p, n)
#endif
/* All shares of the attempt are in. */
#define HAS_ALL(p, r) \
    ((!IN(p, 0) || cx[I(p, 0)] == (r) + 1) && (!IN(p, 1) || cx[I(p, 1)] == (r) + 1) && \
     (!IN(p, 2) || cx[I(p, 2)] == (r) + 1))
#define RELEASE(q, r, p) \
    :: d_step { CAN_RELEASE(q, r) && cur[J(q, r)] == (p) && HAS_ALL(p, r) -> released(q, r, p) }
#ifdef ATTEMPT_PER_RUN
/* A share comes in for this request under the present attempt's number: it is taken for its share. */
#define MISTAKEN(q, r, p, n) \
    :: d_step { CAN_RELEASE(q, r) && (p) < np && oq[p] == (q) && (n) != OWNER(p) && \
        cx[I(p, n)] == (r) + 1 && at[p] == ATTEMPT(q, r) && cur[J(q, r)] != (p) -> \
        assert(false) /* 7 */ }
#else
#define MISTAKEN(q, r, p, n)
#endif
#define MOVE(q, r) :: d_step { CAN_MOVE(q, r) -> move(q, r) }
#ifdef NO_DEADLINE
#define GIVE_UP(q, r)
#else
#define GIVE_UP(q, r) :: d_step { CAN_GIVE_UP(q, r) -> give_up(q, r) }
#endif

#define PER_P(M, a, b) M(a, b, 0) M(a, b, 1) PER_P3(M, a, b)
#if P >= 3
#define PER_P3(M, a, b) M(a, b, 2)
#else
#define PER_P3(M, a, b)
#endif

#define RUN(q, r) \
    MOVE(q, r) GIVE_UP(q, r) PER_P(CHOOSE, q, r) PER_P(RELEASE, q, r) PER_P(LATE_SHARE, q, r)
#define LATE_SHARE(q, r, p) MISTAKEN(q, r, p, 0) MISTAKEN(q, r, p, 1) MISTAKEN(q, r, p, 2)

#if R == 1
#define PER_R(M, q) M(q, 0)
#elif R == 2
#define PER_R(M, q) M(q, 0) M(q, 1)
#else
#define PER_R(M, q) M(q, 0) M(q, 1) M(q, 2)
#endif

#if BOOTS == 0
#define PER_Q(M) M(0) M(1) M(2)
#elif BOOTS == 1
#define PER_Q(M) M(0) M(1) M(2) M(3)
#else
#define PER_Q(M) M(0) M(1) M(2) M(3) M(4)
#endif

#define ASKS_OF(q) PER_R(ASK, q)
#define RUNS_OF(q) PER_R(RUN, q)

/* Deliveries: by presignature, context, party, process, and what is found under the id. */
#if defined(NO_BOOT_NONCE) || defined(NONCE_FROM_STORE)
#define SHARE_P(p, r, n, x) SHARE(p, r, n, x, 0) SHARE(p, r, n, x, 1)
#else
#define SHARE_P(p, r, n, x) SHARE(p, r, n, x, p)
#endif
#define SHARE_X(x) SHARE_XP(0, x) SHARE_XP(1, x) SHARE_XP3(x)
#if P >= 3
#define SHARE_XP3(x) SHARE_XP(2, x)
#else
#define SHARE_XP3(x)
#endif
#if R == 1
#define SHARE_XP(p, x) SHARE_N(p, 0, x)
#elif R == 2
#define SHARE_XP(p, x) SHARE_N(p, 0, x) SHARE_N(p, 1, x)
#else
#define SHARE_XP(p, x) SHARE_N(p, 0, x) SHARE_N(p, 1, x) SHARE_N(p, 2, x)
#endif
#define SHARE_N(p, r, x) SHARE_P(p, r, 0, x) SHARE_P(p, r, 1, x) SHARE_P(p, r, 2, x)

/* back: how many boots the store is rolled back before this one. */
#define END(q, n) if :: (q) < nq && alive[q] && pty[q] == (n) -> crash(q) :: else -> skip fi;
#define CLONE(n, back) \
    :: d_step { CAN_BOOT && disk[n] >= (back) -> boot(n); load(n, back); nq++ }
#define RESTART(n, back) \
    :: d_step { CAN_BOOT && disk[n] >= (back) -> END(n, n) END_MORE(n) \
        boot(n); load(n, back); nq++ }
#if BOOTS >= 2
#define END_MORE(n) END(N, n)
#else
#define END_MORE(n)
#endif
#if BOOTS == 0
#define BOOT(n)
#elif BOOTS == 1
#define BOOT(n) CLONE(n, 0) CLONE(n, 1) RESTART(n, 0) RESTART(n, 1)
#else
#define BOOT(n) CLONE(n, 0) CLONE(n, 1) CLONE(n, 2) RESTART(n, 0) RESTART(n, 1) RESTART(n, 2)
#endif

#ifdef EVIL
#define EVILS(p, r) \
    :: d_step { (p) < np && OWNER(p) == 0 && !(sent[p] & (1 << (r))) -> sent[p] = sent[p] | (1 << (r)) }
#define EVIL_P(p) EVILS(p, 0) EVILS(p, 1) EVILS(p, 2)
#endif

inline start()
{
    d_step {
        i_ = 0;
        do
        :: i_ < N -> pty[i_] = i_; alive[i_] = 1; disk[i_] = 1; ctr[i_] = 1; i_++
        :: else -> break
        od;
        i_ = 0;
        do
        :: i_ < Q * R -> cur[i_] = NOBODY; i_++
        :: else -> break
        od;
        i_ = 0
    }
}

#ifndef LIVE
active proctype world()
{
    start();
    do
    PER_Q(MADE_Q)
    LATE(0, 0) LATE(0, 1) LATE(0, 2) LATE(1, 0) LATE(1, 1) LATE(1, 2)
#if P >= 3
    LATE(2, 0) LATE(2, 1) LATE(2, 2)
#endif
    PER_Q(ASKS_OF)
    PER_Q(RUNS_OF)
    PER_Q(SHARE_X)
    BOOT(0) BOOT(1) BOOT(2)
#ifdef EVIL
    EVIL_P(0) EVIL_P(1)
#endif
    :: else -> break
    od
}
#else

/* Each of these is scheduled fairly; what the host and the network do is up to them. */
active proctype coordinators()
{
    start();
    do
    PER_Q(RUNS_OF)
    od
}
active proctype others()
{
    (alive[N - 1]);
    do
    PER_Q(MADE_Q)
    PER_Q(ASKS_OF)
    PER_Q(SHARE_X)
    BOOT(0) BOOT(1) BOOT(2)
    od
}

#define WAITING(q, r) (rs[J(q, r)] == WAIT)
/* A waiting request ends: with a signature, with an error, or with its process. */
ltl ends { [] ((WAITING(0, 0) -> <> !WAITING(0, 0)) && (WAITING(1, 0) -> <> !WAITING(1, 0))) }
#endif
