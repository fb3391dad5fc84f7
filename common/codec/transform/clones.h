// Plain loops that the compiler makes vectors of, compiled for several instruction sets and chosen at run time. Only
// for integer loops, and for floats where no contraction can change a bit.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_CLONES_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_CLONES_H_

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define VITRINE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define VITRINE_CLONES
#endif

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_CLONES_H_
