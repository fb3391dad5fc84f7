#include "common/codec/codec.h"

#include <utility>

#include "common/base/error.h"

namespace vitrine {
namespace {

// The forms without settings: plain arrays.
class PlainCodec : public Codec {
 public:
  PlainCodec(Form form, std::vector<std::uint32_t> shape) : form_(form), shape_(std::move(shape)) {}

  std::vector<ArrayLayout> layout() const override { return array_layout(form_, shape_); }
  std::vector<Array> encode(std::span<const float> values, std::uint32_t views) const override {
    return vitrine::encode(form_, values, views, shape_);
  }
  void decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
              std::span<float> out) const override {
    vitrine::decode(form_, arrays, views, shape_, out);
  }

 private:
  Form form_;
  std::vector<std::uint32_t> shape_;
};

}  // namespace

void CodecSettings::check(const std::vector<std::uint32_t>&, const std::string& where) const {
  if (max_error != 0 || kept != 0 || !temperatures.empty() || !basis.empty())
    fail(where, ": the form ", form_name(form), " has no settings; remove them or choose another form");
}

std::unique_ptr<const Codec> make_codec(const CodecSettings& settings, const std::vector<std::uint32_t>& shape,
                                        std::shared_ptr<const FeatureBasis>) {
  settings.check(shape, "codec");
  return std::make_unique<const PlainCodec>(settings.form, shape);
}

}  // namespace vitrine
