// What a track's values went through on their way from the teacher.
#ifndef VITRINE_COMMON_INSPECT_VERIFY_CODECS_H_
#define VITRINE_COMMON_INSPECT_VERIFY_CODECS_H_

#include <vector>

#include "common/cache/track.h"

namespace vitrine {

/// The codecs before the track's own, the teacher's first; none for a track that was not recoded. From the words that
/// recoding leaves in its provenance (recode.h, codec_words): numbers have six digits, and a transform is without its
/// basis, which stayed with the source. Throws Error for other words.
std::vector<CodecSettings> earlier_codecs(const TrackInfo& track);

}  // namespace vitrine

#endif  // VITRINE_COMMON_INSPECT_VERIFY_CODECS_H_
