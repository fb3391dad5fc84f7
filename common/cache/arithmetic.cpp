#include "common/cache/arithmetic.h"

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cache/attributes.h"
#include "common/cache/container.h"
#include "common/cache/shelf.h"

namespace vitrine {

std::vector<ArithmeticKind> arithmetic_kinds(const std::filesystem::path& cache, const TrackInfo& track) {
  std::map<std::map<std::string, std::string>, std::uint64_t> kinds;
  const std::filesystem::path directory = cache / track.directory();
  const Shelf shelf(directory, [](const Container&, std::uint64_t) {});
  for (const std::uint64_t number : shelf.numbers()) {
    const Container file(directory / shard_file_name(number));
    const auto json = attributes(file, kShardFormat);
    const auto made_with = json.find("made_with");
    std::map<std::string, std::string> words;
    if (made_with != json.end()) {
      if (!made_with->is_object()) fail(file.path().string(), ": made_with is no object; copy or make the file again");
      for (const auto& [key, value] : made_with->items())
        words[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
    ++kinds[words];
  }
  std::vector<ArithmeticKind> out;
  for (const auto& [words, shards] : kinds) out.push_back({words, shards});
  return out;
}

}  // namespace vitrine
