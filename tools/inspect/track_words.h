// A track's encoding, error bound and measured error in words, for pages about a cache.
#ifndef VITRINE_TOOLS_INSPECT_TRACK_WORDS_H_
#define VITRINE_TOOLS_INSPECT_TRACK_WORDS_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/codec/codec.h"

namespace vitrine {

/// The encoding and its settings but for the bound: "topk, 32 kept, temperatures 1 4".
std::string encoding_words(CodecSettings codec);

/// What CodecSettings::max_error bounds: "|error| of a value ≤ 0.0156"; empty for an encoding without a bound.
std::string bound_words(const CodecSettings& codec);

/// The figures of CodecLoss::json(): "energy lost 0.8 %, at most in a group 1 %". Figures of other versions have their
/// keys as names. Empty for an empty object.
std::string measured_words(const nlohmann::ordered_json& loss);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_TRACK_WORDS_H_
