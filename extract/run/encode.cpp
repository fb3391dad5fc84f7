#include "extract/run/encode.h"

#include <utility>

#include "common/base/error.h"

namespace vitrine {

GroupEncoder::GroupEncoder(const TrackInfo& track, const Codec& codec, const FeatureBasis* basis)
    : track_(track),
      codec_(codec),
      basis_(basis),
      in_basis_(basis != nullptr && basis->orthonormal() ? dynamic_cast<const TransformCodec*>(&codec) : nullptr) {}

EncodedGroup GroupEncoder::encode(std::span<const float> raw, std::uint32_t views) const {
  try {
    EncodedGroup out = encoded(raw, views);
    check_bound(out.loss);
    return out;
  } catch (const Error& error) {
    Problem problem = error.problem();
    problem.what = text(track_.name(), ": ", problem.what);
    throw Error(error.kind(), std::move(problem));
  }
}

// Decodes too, to measure the error. If the basis only rotates channels, it is measured on coefficients, which saves
// the inverse product.
EncodedGroup GroupEncoder::encoded(std::span<const float> raw, std::uint32_t views) const {
  EncodedGroup out;
  std::vector<float> decoded(raw.size());
  if (in_basis_ != nullptr) {
    std::vector<float> coefficients(raw.size());
    out.arrays = in_basis_->encode(raw, views, coefficients);
    in_basis_->decode_coefficients(out.arrays[0].bytes, views, decoded);
    out.loss = measure_loss_in_basis(track_.shape, views, raw, basis_->mean, coefficients, decoded);
    return out;
  }
  out.arrays = codec_.encode(raw, views);
  std::vector<std::span<const std::byte>> bytes;
  for (const Array& array : out.arrays) bytes.emplace_back(array.bytes);
  codec_.decode(bytes, views, decoded);
  out.loss = measure_loss(track_.kind, track_.shape, views, raw, decoded,
                          basis_ == nullptr ? std::span<const float>() : std::span(basis_->mean));
  return out;
}

// With a tolerance for the rounding of orthonormal bases in floats.
void GroupEncoder::check_bound(const CodecLoss& loss) const {
  constexpr double kRounding = 1e-3, kFloor = 1e-9;
  const double bound = track_.codec.max_error;
  if (track_.codec.encoding != Encoding::kTransform || loss.worst_group <= bound * (1 + kRounding) + kFloor) return;
  throw Error(ErrorKind::kInternal,
              {.what = text("lost ", loss.worst_group, " of the energy of a group, more than taps.max_error = ", bound),
               .remedy = "this is a fault of the codec, please report it"});
}

}  // namespace vitrine
