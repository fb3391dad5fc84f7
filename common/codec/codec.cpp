#include "common/codec/codec.h"

#include <utility>

#include "common/base/error.h"

namespace vitrine {
namespace {

constexpr double kMinError = 1e-9, kMaxError = 1e9;
constexpr std::size_t kMaxTemperatures = 16;

}  // namespace

void CodecSettings::check(const std::vector<std::uint32_t>& shape, const std::string& where) const {
  const auto refuse = [&](const std::string& what, const std::string& expected) {
    throw Error(ErrorKind::kInput, {.path = where, .what = what, .remedy = expected});
  };
  const auto only_for = [&](bool given, const char* setting, bool allowed) {
    if (given && !allowed)
      refuse(text("the encoding ", encoding_name(encoding), " has no setting ", setting), "remove it");
  };
  only_for(max_error != 0, "max_error",
           encoding == Encoding::kUniform || encoding == Encoding::kTopk || encoding == Encoding::kTransform);
  only_for(kept != 0, "kept", encoding == Encoding::kTopk);
  only_for(!temperatures.empty(), "temperatures", encoding == Encoding::kTopk);
  only_for(!basis.empty(), "basis", encoding == Encoding::kTransform);
  const std::string error_not_allowed = text("max_error = ", max_error, " is not allowed"),
                    range = text("from ", kMinError, " to ", kMaxError);
  if (encoding == Encoding::kUniform && !(max_error >= kMinError && max_error <= kMaxError))
    refuse(error_not_allowed, "expected " + range);
  if (encoding == Encoding::kTransform) {
    if (!(max_error > 0 && max_error < 1))
      refuse(error_not_allowed, "expected a share of the energy between 0 and 1, for instance 0.01");
    if (shape.size() != 3) refuse("transform stores feature maps only", "expected views of three axes");
    if (basis.size() != 64 || basis.find_first_not_of("0123456789abcdef") != std::string::npos)
      refuse("basis is not SHA-256", "expected 64 hexadecimal digits");
  }
  if (encoding != Encoding::kTopk) return;
  if (max_error != 0 && !(max_error >= kMinError && max_error <= kMaxError))
    refuse(error_not_allowed, "expected 0 (values as fp16) or " + range);
  if (shape.size() != 1) refuse("topk stores logits only", "expected views of one axis");
  if (kept < 1 || kept >= shape[0])
    refuse(text("kept = ", kept, " of ", shape[0], " classes is not allowed"),
           "expected at least 1 and fewer than all");
  if (temperatures.empty() || temperatures.size() > kMaxTemperatures)
    refuse(text(temperatures.size(), " temperatures are not allowed"), text("expected 1 to ", kMaxTemperatures));
  for (std::size_t t = 0; t < temperatures.size(); ++t) {
    if (!(temperatures[t] >= 0.01 && temperatures[t] <= 1000))
      refuse(text("the temperature ", temperatures[t], " is not allowed"), "expected from 0.01 to 1000");
    for (std::size_t other = 0; other < t; ++other)
      if (temperatures[other] == temperatures[t])
        refuse(text("the temperature ", temperatures[t], " is given twice"), "");
  }
}

}  // namespace vitrine
