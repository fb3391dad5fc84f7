// The JSON attributes of a container, read with errors that name the file. Private to this room.
#ifndef VITRINE_COMMON_CACHE_ATTRIBUTES_H_
#define VITRINE_COMMON_CACHE_ATTRIBUTES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/cache/container.h"
#include "common/cache/track.h"

namespace vitrine {

inline constexpr const char* kIndexFormat = "vitrine index";
inline constexpr const char* kRecipesFormat = "vitrine recipes";
inline constexpr const char* kShardFormat = "vitrine shard";

// What follows throws Errors of kind kInput for a file that is whole and not the one that its place asks for.
inline constexpr const char* kElsewhere = "the file belongs to another cache or place, copy or make it again";

/// The object, after its "format" was found to be `format`.
inline nlohmann::ordered_json attributes(const Container& container, const std::string& format) {
  auto json = parse_json<nlohmann::ordered_json>(container.json());
  if (!json.is_object() || json.value("format", nlohmann::ordered_json()) != format)
    throw Error(ErrorKind::kInput, {.path = container.path().string(),
                                    .what = text("is not a file of the kind \"", format, "\""),
                                    .remedy = "copy or make it again"});
  return json;
}

/// Throws Error unless json[key] == expected.
template <class Value>
void expect(const Container& container, const nlohmann::ordered_json& json, const char* key, const Value& expected) {
  const auto found = json.value(key, nlohmann::ordered_json());
  if (found != nlohmann::ordered_json(expected))
    throw Error(ErrorKind::kInput,
                {.path = container.path().string(),
                 .what = text("has ", key, " ", found.dump(), ", expected ", nlohmann::ordered_json(expected).dump()),
                 .remedy = kElsewhere});
}

/// Throws Error that names what differs unless json["track"] is the copy of the track.json `expected`. An order of keys
/// is no difference, nor are keys that this version does not know.
inline void expect_track(const Container& container, const nlohmann::ordered_json& json, const TrackInfo& expected) {
  const auto copy = json.find("track");
  if (copy == json.end() || !copy->is_object())
    throw Error(ErrorKind::kCorrupt, {.path = container.path().string(),
                                      .what = "has no copy of its track.json",
                                      .remedy = "the file is damaged, copy or make it again"});
  const TrackInfo track = TrackInfo::from_json(*copy, container.path().string());
  std::string words;
  for (const JsonDifference& difference : differences(track, expected))
    words += text(words.empty() ? "" : ", ", "track.", difference.key, " ", difference.there, ", expected ",
                  difference.here);
  if (words.empty()) return;
  throw Error(ErrorKind::kInput,
              {.path = container.path().string(), .what = text("has ", words), .remedy = kElsewhere});
}

/// Throws Error unless the dataset has this type, shape and chunk.
inline void expect_dataset(const Container& container, const std::string& name, const std::string& dtype,
                           const std::vector<std::uint64_t>& shape, std::uint32_t chunk_rows) {
  const DatasetInfo& info = container.datasets()[container.find(name)];
  if (info.dtype != dtype || info.shape != shape || info.chunk_rows != chunk_rows)
    throw Error(ErrorKind::kInput,
                {.path = container.path().string(),
                 .what = text("dataset ", name, " has another type or shape than its place asks for"),
                 .remedy = "copy or make it again"});
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_ATTRIBUTES_H_
