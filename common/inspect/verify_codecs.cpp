#include "common/inspect/verify_codecs.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace vitrine {
namespace {

std::vector<std::string_view> split(std::string_view words, std::string_view between) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = words.find(between);
    parts.push_back(words.substr(0, end));
    if (end == std::string_view::npos) return parts;
    words.remove_prefix(end + between.size());
  }
}

template <class Number>
bool read_number(std::string_view word, Number& number) {
  const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), number);
  return failure == std::errc() && end == word.data() + word.size();
}

// "max_error 0.01", "32 kept", "temperatures 1 4". Returns whether it is one of them.
bool read_setting(std::string_view words, CodecSettings& codec) {
  const std::vector<std::string_view> parts = split(words, " ");
  if (parts.size() == 2 && parts[0] == "max_error") return read_number(parts[1], codec.max_error);
  if (parts.size() == 2 && parts[1] == "kept") return read_number(parts[0], codec.kept);
  if (parts.size() < 2 || parts[0] != "temperatures") return false;
  return std::all_of(parts.begin() + 1, parts.end(),
                     [&](std::string_view part) { return read_number(part, codec.temperatures.emplace_back()); });
}

CodecSettings codec_of_words(std::string_view words, const std::string& where) {
  const std::vector<std::string_view> parts = split(words, ", ");
  CodecSettings codec;
  codec.form = form_from_name(std::string(parts[0]), where);
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (!read_setting(parts[i], codec)) fail(where, ": \"", parts[i], "\" is no setting of a codec");
  return codec;
}

}  // namespace

std::vector<CodecSettings> earlier_codecs(const TrackInfo& track) {
  std::vector<CodecSettings> codecs;
  const auto words = track.provenance.find("recoded_from");
  if (words == track.provenance.end()) return codecs;
  const std::string where = text(track.directory(), ": its provenance says recoded_from \"", words->second, "\"");
  for (const std::string_view part : split(words->second, "; itself from ")) {
    codecs.push_back(codec_of_words(part, where));
    CodecSettings made = codecs.back();
    if (made.form == Form::kTransform) made.basis.assign(64, '0');  // stayed with the source
    made.check(track.shape, where);
  }
  std::ranges::reverse(codecs);
  return codecs;
}

}  // namespace vitrine
