// Verification that runs the teacher again.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_H_

#include <vector>

#include "tools/commands/cache/deep_result.h"

namespace vitrine {

/// The DeepCheck of this program. Samples each track's views evenly from its undamaged shards. Stored values may differ
/// from the teacher's current values after the track's codecs by the rounding differences between machines, and must
/// meet the codec's bound. After recoding from a transform, whose basis stayed with the source, the error against the
/// teacher's values is checked against the combined bounds of all codecs.
std::vector<DeepResult> deep_check(const Cache& cache, const DeepRequest& request);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_H_
