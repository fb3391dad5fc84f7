// Verification that asks the teacher again.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_H_

#include <vector>

#include "tools/commands/cache/deep_result.h"

namespace vitrine {

/// The DeepCheck of this program. Each track's views are spread evenly over its undamaged shards. What is stored may
/// differ from what the track's codecs make of the teacher's values now by as much as arithmetic differs between
/// machines, and must keep the codec's own bound. After recoding from a transform, whose basis stayed with the source,
/// the bounds of all codecs together are held against the teacher's values.
std::vector<DeepResult> deep_check(const Cache& cache, const DeepRequest& request);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_H_
