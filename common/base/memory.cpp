#include "common/base/memory.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace vitrine {

void keep_freed_memory() {
#if defined(M_MMAP_MAX) && defined(M_TRIM_THRESHOLD)
  mallopt(M_MMAP_MAX, 0);  // no block has a mapping of its own; the threshold for that cannot be set above 32 MB
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

}  // namespace vitrine
