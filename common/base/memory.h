// How the process treats memory that it frees.
#ifndef VITRINE_COMMON_BASE_MEMORY_H_
#define VITRINE_COMMON_BASE_MEMORY_H_

namespace vitrine {

/// From now on freed blocks stay with the process for the next ones, instead of going back to the kernel, which would
/// clear each page again: a training step frees and takes the same few hundred megabytes. For main() of programs that
/// repeat themselves, before other threads start; does nothing where the C library is not glibc.
void keep_freed_memory();

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_MEMORY_H_
