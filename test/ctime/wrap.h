/*
 * Writing a wrapper that the linker puts in a function's place (-Wl,--wrap=NAME, see the Makefile).
 *
 * What: WRAPPED begins the definition of __wrap_NAME and declares __real_NAME; CROSS counts a call of
 *       another library's function.
 * Rules: a function of another library is named in test/ctime/boundary, one of our own in
 *       test/ctime/public; each with its reason. Those two files are the linker's list.
 */
#ifndef TEST_CTIME_WRAP_H
#define TEST_CTIME_WRAP_H

#include "test/ctime/poison.h"

#define WRAPPED(type, name, params)                                                                \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params

#define CROSS(text)                                                                                \
    static struct crossing crossing_ = {.name = (text)};                                           \
    poison_crossed(&crossing_)

#endif
