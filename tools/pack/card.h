// The card of a cache: a page in Markdown, with the YAML front matter of Hugging Face's dataset cards.
#ifndef VITRINE_TOOLS_PACK_CARD_H_
#define VITRINE_TOOLS_PACK_CARD_H_

#include <string>
#include <vector>

#include "common/cache/cache.h"
#include "tools/inspect/track_state.h"

namespace vitrine {

/// What the cache was made from, its teachers, its tracks with their error bounds and measured errors, how to read it,
/// and the versions that wrote it. A function of the cache's files: every figure is recorded in them. `tracks`: those
/// to describe. Throws Error for a file that cannot be read.
std::string cache_card(const Cache& cache, const std::vector<TrackState>& tracks);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_PACK_CARD_H_
