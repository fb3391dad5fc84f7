#include "common/codec/make_codec.h"

#include <utility>

#include "common/base/error.h"
#include "common/codec/isa.h"
#include "common/codec/topk.h"
#include "common/codec/transform/transform_codec.h"
#include "common/codec/uniform.h"

namespace vitrine {
namespace {

// The encodings without settings: plain arrays.
class PlainCodec : public Codec {
 public:
  PlainCodec(Encoding encoding, std::vector<std::uint32_t> shape) : encoding_(encoding), shape_(std::move(shape)) {}

  std::vector<ArrayLayout> layout() const override { return array_layout(encoding_, shape_); }
  std::uint64_t max_bytes(std::size_t i, std::uint32_t views) const override {
    return std::uint64_t{layout().at(i).view_bytes()} * views;
  }
  std::vector<Array> encode(std::span<const float> values, std::uint32_t views) const override {
    return vitrine::encode(encoding_, values, views, shape_);
  }
  void decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
              std::span<float> out) const override {
    vitrine::decode(encoding_, arrays, views, shape_, out);
  }

 private:
  Encoding encoding_;
  std::vector<std::uint32_t> shape_;
};

}  // namespace

std::unique_ptr<const Codec> make_codec(const CodecSettings& settings, const std::vector<std::uint32_t>& shape,
                                        std::shared_ptr<const FeatureBasis> basis) {
  settings.check(shape, "codec");
  isa();  // rejects an invalid VITRINE_ISA here instead of at the first group
  switch (settings.encoding) {
    case Encoding::kFp32:
    case Encoding::kFp16:
    case Encoding::kInt8:
    case Encoding::kSqrt8:
      break;
    case Encoding::kUniform:
      return std::make_unique<const UniformCodec>(settings.max_error, shape);
    case Encoding::kTopk:
      return std::make_unique<const TopkCodec>(settings, shape);
    case Encoding::kTransform:
      if (!basis)
        fail("the transform encoding needs the basis ", settings.basis.substr(0, 8), "; give basis.h5 of its track");
      if (shape != std::vector<std::uint32_t>{basis->channels, basis->height, basis->width} ||
          basis->hash() != settings.basis)
        fail("the basis ", basis->hash().substr(0, 8), " of ", basis->channels, " x ", basis->height, " x ",
             basis->width, " features does not match the settings (", settings.basis.substr(0, 8), ")");
      return std::make_unique<const TransformCodec>(std::move(basis), settings.max_error);
  }
  return std::make_unique<const PlainCodec>(settings.encoding, shape);
}

}  // namespace vitrine
