// The factory of codecs: from a track's settings to the class of its encoding. tools/README.md lists every file that a
// new encoding touches.
#ifndef VITRINE_COMMON_CODEC_MAKE_CODEC_H_
#define VITRINE_COMMON_CODEC_MAKE_CODEC_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "common/codec/codec.h"

namespace vitrine {

struct FeatureBasis;

/// `shape`: of one view. `basis`: required for the transform encoding; its hash must be settings.basis. Throws Error
/// for inconsistent settings.
std::unique_ptr<const Codec> make_codec(const CodecSettings& settings, const std::vector<std::uint32_t>& shape,
                                        std::shared_ptr<const FeatureBasis> basis = nullptr);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_MAKE_CODEC_H_
