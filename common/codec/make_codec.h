// From a track's settings to its codec: the one place that knows all encodings.
#ifndef VITRINE_COMMON_CODEC_MAKE_CODEC_H_
#define VITRINE_COMMON_CODEC_MAKE_CODEC_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "common/codec/codec.h"

namespace vitrine {

struct FeatureBasis;

/// `shape`: of one view. `basis`: for the transform encoding, and it must be the one that the settings name. Throws
/// Error for settings that do not fit.
std::unique_ptr<const Codec> make_codec(const CodecSettings& settings, const std::vector<std::uint32_t>& shape,
                                        std::shared_ptr<const FeatureBasis> basis = nullptr);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_MAKE_CODEC_H_
