// What a track's values went through on their way from the teacher.
#ifndef VITRINE_TOOLS_INSPECT_VERIFY_CODECS_H_
#define VITRINE_TOOLS_INSPECT_VERIFY_CODECS_H_

#include <vector>

#include "common/cache/track.h"

namespace vitrine {

/// The codecs before the track's own, the teacher's first; none for a track that was not recoded. The basis of a
/// transform among them is named but stayed with its own track. Throws Error, kNewer, when one is of a newer version.
std::vector<CodecSettings> earlier_codecs(const TrackInfo& track);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_VERIFY_CODECS_H_
