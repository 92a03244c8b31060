#pragma once
// Wide instructions without -march: a function marked KAPPA_WIDE is compiled for AVX-512, for AVX2 and for any x86-64, and the
// program takes the best that the machine has when it starts. Mark the innermost function that holds a loop; a lambda does not
// inherit the mark, so such a function is called by the parallel loop and is handed its range. Whatever it calls must be inlined
// into it (vector_math.h).
//
// clang 14 cannot do this for templates, and a sanitizer is not yet awake when the choice is made: there it means nothing.

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(KAPPA_SANITIZED)
#define KAPPA_WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KAPPA_WIDE
#endif
