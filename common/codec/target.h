// Compiles the functions between VITRINE_BEGIN_... and VITRINE_END_TARGET for an instruction set. Include all headers
// before: the linker keeps one copy of each inline function for the whole program, and it must run on every processor
// (tests/codec/shared_code_test.py checks this).
#ifndef VITRINE_COMMON_CODEC_TARGET_H_
#define VITRINE_COMMON_CODEC_TARGET_H_

#if defined(__x86_64__)

#define VITRINE_AVX2_FEATURES "avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt"
#define VITRINE_AVX512_FEATURES VITRINE_AVX2_FEATURES ",avx512f,avx512bw,avx512vl,avx512dq,avx512cd"

#define VITRINE_PRAGMA(words) _Pragma(#words)
#if defined(__clang__)
#define VITRINE_BEGIN_AVX2 \
  VITRINE_PRAGMA(clang attribute push(__attribute__((target(VITRINE_AVX2_FEATURES))), apply_to = function))
#define VITRINE_BEGIN_AVX512 \
  VITRINE_PRAGMA(clang attribute push(__attribute__((target(VITRINE_AVX512_FEATURES))), apply_to = function))
#define VITRINE_BEGIN_AVX512_VBMI2 \
  VITRINE_PRAGMA(                  \
      clang attribute push(__attribute__((target(VITRINE_AVX512_FEATURES ",avx512vbmi2"))), apply_to = function))
#define VITRINE_BEGIN_AVX512_BF16 \
  VITRINE_PRAGMA(                 \
      clang attribute push(__attribute__((target(VITRINE_AVX512_FEATURES ",avx512bf16"))), apply_to = function))
#define VITRINE_END_TARGET _Pragma("clang attribute pop")
#else
#define VITRINE_BEGIN_AVX2 _Pragma("GCC push_options") VITRINE_PRAGMA(GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt"))
#define VITRINE_BEGIN_AVX512 \
  VITRINE_BEGIN_AVX2 VITRINE_PRAGMA(GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512cd"))
#define VITRINE_BEGIN_AVX512_VBMI2 VITRINE_BEGIN_AVX512 VITRINE_PRAGMA(GCC target("avx512vbmi2"))
#define VITRINE_BEGIN_AVX512_BF16 VITRINE_BEGIN_AVX512 VITRINE_PRAGMA(GCC target("avx512bf16"))
#define VITRINE_END_TARGET _Pragma("GCC pop_options")
#endif

#endif

#endif  // VITRINE_COMMON_CODEC_TARGET_H_
