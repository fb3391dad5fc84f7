#include "common/cache/track.h"

#include <nlohmann/json.hpp>

#include "tests/cache/sample.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// A track with every field set.
TrackInfo full_track() {
  const Plan plan(sample_index(3), sample_options());
  TrackInfo track = sample_tracks(plan)[2];
  track.teacher.mean = {0.1, 1.0 / 3, 0.48145466}, track.teacher.license = "apache-2.0";
  track.heads = {1, 0}, track.heads_mean = false;
  track.recoded_from = {
      {.codec = {.encoding = Encoding::kSqrt8}, .compression = {-1, 20}, .track_sha256 = std::string(64, 'd')},
      {.codec = {.encoding = Encoding::kFp16}, .track_sha256 = std::string(64, 'e')}};
  return track;
}

}  // namespace

TEST_CASE("any changed byte of track.json is damage; a newer version is not") {
  const TrackInfo track = full_track();
  const std::string text = track.file_text();
  const auto kind_of = [](const std::string& file) {
    try {
      TrackInfo::from_file_text(file, "c/track.json");
    } catch (const Error& error) {
      CHECK(std::string(error.what()).starts_with("c/track.json: "));
      return error.kind();
    }
    return ErrorKind::kInternal;  // none
  };
  CHECK(TrackInfo::from_file_text(text, "c/track.json") == track);
  CHECK(with_new_check(text) == text);
  for (std::size_t at = 0; at < text.size(); ++at) {
    CAPTURE(text.substr(at, 20));
    for (const int bit : {1, 4, 32}) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(flipped[at] ^ bit);
      CHECK(kind_of(flipped) == ErrorKind::kCorrupt);
    }
  }
  CHECK(kind_of(track.json()) == ErrorKind::kCorrupt);  // without its check
  const auto with = [&](const std::string& old, const std::string& now) {
    std::string edited = text;
    return edited.replace(edited.find(old), old.size(), now);
  };
  const std::string newer = with("\"version\": 2", "\"version\": 3");
  CHECK(kind_of(newer) == ErrorKind::kCorrupt);  // the check proves that it was 2
  CHECK(kind_of(with_new_check(newer)) == ErrorKind::kNewer);
  CHECK(kind_of(newer.substr(0, newer.rfind(",\n  \"check\"")) + "\n}\n") ==
        ErrorKind::kNewer);  // its check is unknown
  CHECK(kind_of(with_new_check(with("\"version\": 2", "\"version\": 1"))) == ErrorKind::kInput);
  CHECK(TrackInfo::from_file_text(with_new_check(with("\"kind\"", "\"later\": [1],\n  \"kind\"")), "t") == track);
}

TEST_CASE("track.json round-trips every field, numbers with all digits") {
  const TrackInfo track = full_track();
  CHECK(TrackInfo::from_json(track.json(), "c/track.json") == track);
  TrackInfo uniform = sample_tracks(Plan(sample_index(3), sample_options()))[4];
  uniform.recoded_from = {
      {.codec = {.encoding = Encoding::kUniform, .max_error = 0.0123456789}, .track_sha256 = std::string(64, 'd')}};
  uniform.codec.max_error = 1.0 / 3;
  const TrackInfo again = TrackInfo::from_json(uniform.json(), "c/track.json");
  CHECK(again == uniform);
  CHECK(again.recoded_from[0].codec.max_error == 0.0123456789);
  const auto json = nlohmann::json::parse(track.json());
  CHECK(json.at("version") == 2);
  CHECK(json.at("teacher").at("architecture").at("dim") == 16);
  CHECK(json.at("made_with").at("device").at("name") == "Sample CPU 7");
  CHECK(json.at("heads").at("kept") == std::vector<int>{1, 0});
}

TEST_CASE("the size of weights that were resampled is recorded, and nothing is where they were not") {
  TrackInfo track = full_track();
  CHECK_FALSE(has(track.json(), "resampled_from"));
  const std::string directory = track.directory();
  for (const WeightsSize& size : {WeightsSize{32, 8}, WeightsSize{0, 8}}) {
    track.teacher.resampled_from = size;
    CHECK(TrackInfo::from_file_text(track.file_text(), "t") == track);
    CHECK(track.directory() == directory);
  }
  CHECK_FALSE(has(track.json(), "\"image_size\": 0"));
  const auto found = differences(full_track(), track);
  REQUIRE(found.size() == 1);
  CHECK(found[0].key == "teacher.resampled_from");
  auto json = nlohmann::ordered_json::parse(track.json());
  json["teacher"]["resampled_from"]["patch"] = "8";
  CHECK(has(message_of([&] { TrackInfo::from_json(json, "t"); }), "patch"));
}

TEST_CASE("the hash of class names is recorded of logits that have one") {
  TrackInfo track = sample_tracks(Plan(sample_index(3), sample_options()))[0];
  CHECK_FALSE(has(track.json(), "class_names_sha256"));
  TrackInfo named = track;
  named.class_names_sha256 = std::string(64, 'f');
  CHECK(TrackInfo::from_file_text(named.file_text(), "t") == named);
  const auto found = differences(track, named);
  REQUIRE(found.size() == 1);
  CHECK(found[0].key == "class_names_sha256");
  named.class_names_sha256 = "f";
  CHECK(has(message_of([&] { named.check("t"); }), "class_names_sha256 is not SHA-256"));
  TrackInfo attention = full_track();
  attention.class_names_sha256 = std::string(64, 'f');
  CHECK(has(message_of([&] { attention.check("t"); }), "class_names_sha256 does not fit attention"));
}

TEST_CASE("a rollout is recorded, and only with the mean over all heads of an attention track") {
  TrackInfo track = full_track();
  CHECK_FALSE(has(track.json(), "rollout"));
  track.heads = {}, track.heads_mean = track.rollout = true;
  const TrackInfo again = TrackInfo::from_json(track.json(), "c/track.json");
  CHECK(again == track);
  TrackInfo plain = track;
  plain.rollout = false;
  const auto found = differences(plain, track);
  REQUIRE(found.size() == 1);
  CHECK(found[0].key == "heads.rollout");
  const auto refused = [](const TrackInfo& bad) { return has(message_of([&] { bad.check("t"); }), "heads.rollout"); };
  track.heads = {1};
  CHECK(refused(track));
  track.heads = {}, track.heads_mean = false;
  CHECK(refused(track));
}

TEST_CASE("a track.json with a missing field or a field of another type is damaged, and the key is named") {
  const auto good = nlohmann::ordered_json::parse(full_track().json());
  const auto refused = [&](const std::string& key, const nlohmann::ordered_json* value) {
    nlohmann::ordered_json bad = good;
    const nlohmann::ordered_json::json_pointer place(key);
    if (value != nullptr)
      bad[place] = *value;
    else
      bad[place.parent_pointer()].erase(place.back());
    try {
      TrackInfo::from_json(bad, "c/track.json");
    } catch (const Error& error) {
      CAPTURE(error.what());
      CHECK(error.kind() == ErrorKind::kCorrupt);
      CHECK(has(error.what(), "c/track.json: "));
      return has(error.what(), place.back());
    }
    return false;
  };
  for (const char* key : {"/teacher/name",
                          "/teacher/weights_sha256",
                          "/teacher/architecture",
                          "/teacher/architecture/family",
                          "/teacher/mean",
                          "/teacher/std",
                          "/teacher/crop_pct",
                          "/teacher/interpolation",
                          "/teacher/class_list_sha256",
                          "/kind",
                          "/block",
                          "/normalised",
                          "/heads",
                          "/heads/kept",
                          "/heads/mean",
                          "/shape",
                          "/encoding",
                          "/level",
                          "/plan",
                          "/made_with",
                          "/made_with/device",
                          "/made_with/device/kind",
                          "/made_with/device/name",
                          "/made_with/device/capability",
                          "/made_with/device/instruction_sets",
                          "/made_with/precision",
                          "/made_with/micro_batch",
                          "/made_with/libraries"}) {
    CAPTURE(key);
    CHECK(refused(key, nullptr));
    for (const nlohmann::ordered_json& value : {nlohmann::ordered_json(nullptr), nlohmann::ordered_json{{"a", true}}})
      if (std::string(key) != "/made_with/libraries" || value.is_null()) CHECK(refused(key, &value));
  }
  for (const char* key :
       {"/recoded_from", "/recoded_from/0/encoding", "/recoded_from/1/track_sha256", "/teacher/license"}) {
    CAPTURE(key);
    const nlohmann::ordered_json number = 3;
    CHECK(refused(key, &number));
  }
}

TEST_CASE("a track.json with an invalid number is refused by its key") {
  const Plan plan(sample_index(3), sample_options());
  const std::string good = sample_tracks(plan)[5].json();
  REQUIRE(TrackInfo::from_json(good, "c/track.json") == sample_tracks(plan)[5]);
  for (const auto& [from, to, words] :
       {std::tuple("\"block\": -1", "\"block\": 18446744073709551615", "block = 18446744073709551615 is not allowed"),
        std::tuple("\"block\": -1", "\"block\": -1.5", "block = -1.5 is not allowed"),
        std::tuple("\"level\": 1", "\"level\": true", "level = true is not allowed"),
        std::tuple("\"level\": 1", "\"level\": 1, \"window\": \"20\"", "window = \"20\" is not allowed"),
        std::tuple("\"kept\": 2", "\"kept\": 2.7", "codec.kept = 2.7 is not allowed"),
        std::tuple("\"kept\": 2", "\"kept\": 4294967298", "codec.kept = 4294967298 is not allowed"),
        std::tuple("    5\n", "    5.0\n", "an axis of shape = 5.0 is not allowed"),
        std::tuple("    5\n", "    1e300\n", "an axis of shape = 1e+300 is not allowed")}) {
    CAPTURE(to);
    std::string bad = good;
    REQUIRE(bad.find(from) != std::string::npos);
    bad.replace(bad.find(from), std::string(from).size(), to);
    CHECK(message_of([&] { TrackInfo::from_json(bad, "c/track.json"); }) ==
          std::string("c/track.json: ") + words + "; expected an integer");
  }
}

TEST_CASE("other format versions are distinguished from damage") {
  const std::string good = full_track().json();
  const auto kind_of_version = [&](const std::string& version) {
    std::string text = good;
    text.replace(text.find("\"version\": 2"), 12, "\"version\": " + version);
    try {
      TrackInfo::from_json(text, "c/track.json");
    } catch (const Error& error) {
      return std::pair(error.kind(), std::string(error.what()));
    }
    return std::pair(ErrorKind::kInternal, std::string());
  };
  CHECK(kind_of_version("1") ==
        std::pair(ErrorKind::kInput, std::string("c/track.json: has format version 1.x, which no release wrote; "
                                                 "extract the cache again")));
  CHECK(kind_of_version("3") == std::pair(ErrorKind::kNewer, std::string("c/track.json: has format version 3, this "
                                                                         "program reads 2.x; use a newer vitrine")));
  for (const char* version : {"0", "-2", "\"2\"", "2.5"}) CHECK(kind_of_version(version).first == ErrorKind::kCorrupt);

  auto json = nlohmann::ordered_json::parse(good);
  const auto kind = [&] {
    try {
      TrackInfo::from_json(json, "c/track.json");
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  json["encoding"] = "wavelets";
  CHECK(kind() == ErrorKind::kNewer);
  json["encoding"] = "sqrt8", json["codec"]["sharpness"] = 1;
  CHECK(kind() == ErrorKind::kNewer);
  json.erase("codec");
  // An unknown source encoding does not prevent reading.
  json["recoded_from"][0]["encoding"] = "wavelets";
  const TrackInfo track = TrackInfo::from_json(json, "c/track.json");
  CHECK(has(track.recoded_from.at(0).unknown, "wavelets"));
  CHECK(TrackInfo::from_json(track.json(), "c/track.json") == track);
}

TEST_CASE("records are compared field by field") {
  const ComputeRecord recorded{
      {"cuda", "NVIDIA A100-SXM4-80GB", "8.0", {}, {{"cudnn", "9.19.0"}, {"libtorch", "2.11.0"}}}, "fp32", 16};
  ComputeRecord given = recorded;
  CHECK(differences(recorded, given).empty());
  given.device.name = "NVIDIA H200", given.device.capability = "9.0", given.device.libraries["cudnn"] = "9.20.0";
  const std::vector<JsonDifference> found = differences(recorded, given);
  REQUIRE(found.size() == 3);
  CHECK(found[0].key == "device.name");
  CHECK(found[0].recorded == "\"NVIDIA A100-SXM4-80GB\"");
  CHECK(found[0].given == "\"NVIDIA H200\"");
  CHECK(found[1].key == "device.capability");
  CHECK(found[2].key == "libraries.cudnn");
  TeacherRecord teacher = sample_teacher("a"), other = teacher;
  other.stddev[1] = 0.5,
  other.architecture.settings = R"({"classes":5,"depth":4,"dim":16,"heads":4,"image_size":32,"patch":8})";
  REQUIRE(differences(teacher, other).size() == 2);
  CHECK(differences(teacher, other)[0].key == "architecture.heads");
  CHECK(differences(teacher, other)[1].key == "std");
}
