#include "tools/inspect/track_words.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/codec/encoding.h"
#include "tools/inspect/recode.h"
#include "tools/inspect/words.h"

namespace vitrine {

std::string bound_words(const CodecSettings& codec) {
  if (codec.max_error <= 0) return "";
  if (codec.encoding == Encoding::kTransform) return "energy lost in a group \u2264 " + percent_words(codec.max_error);
  return "|error| of a value \u2264 " + number_words(codec.max_error);
}

std::string encoding_words(CodecSettings codec) {
  codec.max_error = 0;
  return codec_words(codec);
}

std::string measured_words(const nlohmann::ordered_json& loss) {
  constexpr std::pair<const char*, const char*> kNames[] = {{"relative_error", "energy lost"},
                                                            {"worst_group", "at most in a group"},
                                                            {"worst_token", "of a token"},
                                                            {"kl_1", "KL at \u03c4 = 1"},
                                                            {"worst_kl_1", "at most"},
                                                            {"kl_4", "at \u03c4 = 4"},
                                                            {"worst_kl_4", "at most"},
                                                            {"agreement", "same top-1"},
                                                            {"total_variation", "total variation"},
                                                            {"worst_total_variation", "at most"}};
  std::string out;
  for (const auto& [key, value] : loss.items()) {
    if (!value.is_number()) continue;
    const auto found = std::ranges::find_if(kNames, [&](const auto& known) { return key == known.first; });
    const double number = value.get<double>();
    const bool share = key == "relative_error" || key == "worst_group" || key == "worst_token" || key == "agreement";
    out += text(out.empty() ? "" : ", ", found == std::end(kNames) ? key : found->second, " ",
                share ? percent_words(number) : number_words(number));
  }
  return out;
}

}  // namespace vitrine
