// The codecs applied to a track's values between teacher and track.
#ifndef VITRINE_TOOLS_INSPECT_VERIFY_CODECS_H_
#define VITRINE_TOOLS_INSPECT_VERIFY_CODECS_H_

#include <vector>

#include "common/cache/track.h"

namespace vitrine {

/// The codecs before the track's own, the teacher's first; empty for a track that was not recoded. A transform's basis
/// is named, but stayed with the source track. Throws Error, kNewer, if one is of a newer version.
std::vector<CodecSettings> earlier_codecs(const TrackInfo& track);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_VERIFY_CODECS_H_
