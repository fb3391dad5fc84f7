// JSON documents of a cache: any text gives a value or an Error, and a value that was read is written and read again as
// the same.
#include <optional>
#include <string>
#include <string_view>

#include "common/base/error.h"
#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "common/codec/make_codec.h"
#include "common/image/index_record.h"
#include "common/plan/plan.h"
#include "tests/faults/shards.h"
#include "tests/fuzz/cases.h"
#include "tests/fuzz/target.h"

namespace {

using namespace vitrine;
using namespace vitrine::testing;

void read_track(const std::string& text) {
  const TrackInfo track = TrackInfo::from_json(text, "track.json");
  expect(differences(TrackInfo::from_json(track.json(), "track.json"), track).empty());
  if (track.codec.encoding != Encoding::kTransform) make_codec(track.codec, track.shape);
}

void read_manifest(const std::string& text) {
  const Manifest manifest = Manifest::parse(text, "shards.json");
  expect(Manifest::parse(manifest.json(), "shards.json") == manifest);
}

void read_shard_log(const std::string& text) {
  static OneFile file("shards.1.jsonl");
  const std::optional<Manifest> manifest = Manifest::read_all(file.hold(text));
  expect(manifest.has_value());
  expect(Manifest::parse(manifest->json(), "shards.json") == *manifest);
}

void read_record(const std::string& text) {
  static OneFile file(kIndexRecordFile);
  read_index_record(file.hold(text), std::string(64, '0'));
}

}  // namespace

FUZZ_TARGET(records) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto chosen = static_cast<RecordCase>(take_byte(rest) % kRecordCases);
  const std::string text(rest);
  try {
    switch (chosen) {
      case RecordCase::kTrack:
        read_track(text);
        break;
      case RecordCase::kPlan:
        Plan::options_from_json(text, "plan.json");
        break;
      case RecordCase::kManifest:
        read_manifest(text);
        break;
      case RecordCase::kShardLog:
        read_shard_log(text);
        break;
      case RecordCase::kIndexRecord:
        read_record(text);
        break;
    }
  } catch (const Error&) {
  }
  return 0;
}
