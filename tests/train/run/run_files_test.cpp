// last.json and summary.json are read as untrusted: an invalid value gives one sentence with the file and the key.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "train/run/checkpoint.h"
#include "train/run/run_result.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::read_whole;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;
using Json = nlohmann::ordered_json;

namespace {

Checkpoint checkpoint() {
  Checkpoint out;
  out.step = 12;
  out.finished = true;
  out.best = {"top1", 0.75, 8, 2, Accuracy{0.75, 1, 40}};
  out.validation = Accuracy{0.5, 1, 40};
  out.agreement = 0.25;
  out.validation_images = std::string(64, '1');
  out.seconds = 3.5, out.core_seconds = 7;
  out.settings = "seed = 3\n";
  out.plan_hash = std::string(64, 'a');
  out.tracks["logits"] = R"({"teacher":{"name":"small"}})";
  out.passes = PassLists{{0, 1, 4}, {1}};
  out.allowed = {{"mixed", "a difference"}};
  out.other_pictures = 5, out.left_out_views = 6;
  out.changes = {"from step 3 on: a change"};
  out.tensors_file = "checkpoint-12.safetensors";
  out.tensors_sha256 = std::string(64, 'b');
  return out;
}

TrainResult result() {
  TrainResult out;
  out.steps = 12, out.images_seen = 48, out.left_out_views = 2;
  out.wall_seconds = 3.5, out.core_seconds = 7, out.wait_share = 0.25;
  out.of_best = true;
  out.test = Accuracy{0.5, 1, 40}, out.last_test = Accuracy{0.25, 0.75, 40};
  out.test_images = EvaluatedImages{"/images/test", std::string(64, 'c')};
  out.validation_images = EvaluatedImages{"/images/val", std::string(64, 'd')};
  out.skipped_updates = 3;
  out.allowed = {{"mixed", "a difference"}};
  out.size = 32;
  out.stages = {{"features.1", 3}};
  out.changes = {"from step 3 on: a change"};
  return out;
}

struct Change {
  const char* at;     ///< JSON pointer
  const char* value;  ///< JSON
  const char* key;    ///< that the sentence names
};

/// Reads `file` with each change made to it: kCorrupt, and a sentence with the file and the key.
template <class Read>
void check_refused(const std::filesystem::path& file, std::initializer_list<Change> changes, const Read& read) {
  const Json sound = Json::parse(read_whole(file));
  for (const Change& change : changes) {
    CAPTURE(change.at);
    CAPTURE(change.value);
    Json json = sound;
    REQUIRE(json.contains(Json::json_pointer(change.at)));
    json[Json::json_pointer(change.at)] = Json::parse(change.value);
    write_whole(file, json.dump());
    try {
      read();
      FAIL("was read");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kCorrupt);
      CHECK(has(error.what(), file.string() + ": is not a "));
      CHECK(has(error.what(), std::string("(") + change.key));
    }
  }
  for (const char* text : {"", "[]", "{", "3", "{}"}) {
    CAPTURE(text);
    write_whole(file, text);
    CHECK_THROWS_AS(read(), Error);
  }
}

}  // namespace

TEST_CASE("a checkpoint's state is read as it was written, and values that cannot be are damage") {
  const TemporaryDirectory directory;
  update_checkpoint(directory.path(), checkpoint());
  const std::filesystem::path file = directory / "checkpoints/last.json";
  const std::string bytes = read_whole(file);
  const std::optional<Checkpoint> back = read_checkpoint(directory.path());
  REQUIRE(back);
  CHECK(back->best.score == 0.75);
  CHECK((back->passes == checkpoint().passes));
  update_checkpoint(directory.path(), *back);
  CHECK(read_whole(file) == bytes);
  check_refused(file,
                {{"/step", "1.5", "step = 1.5"},
                 {"/step", "-1", "step = -1"},
                 {"/step", "1e3", "step = 1000.0"},
                 {"/step", "18446744073709551616", "step = "},
                 {"/step", "\"12\"", "step = "},
                 {"/step", "true", "step = true"},
                 {"/finished", "1", "finished = 1"},
                 {"/validation_due", "\"no\"", "validation_due = "},
                 {"/best_score", "2", "best_score = 2"},
                 {"/best_score", "null", "best_score = null"},
                 {"/best_step", "0.5", "best_step = 0.5"},
                 {"/best_epoch", "-2", "best_epoch = -2"},
                 {"/best_chosen_by", "3", "best_chosen_by = 3"},
                 {"/seconds", "-1", "seconds = -1"},
                 {"/core_seconds", "\"7\"", "core_seconds = "},
                 {"/plan_hash", "7", "plan_hash = 7"},
                 {"/settings", "[]", "settings = []"},
                 {"/other_pictures", "1.25", "other_pictures = 1.25"},
                 {"/left_out_views", "-6", "left_out_views = -6"},
                 {"/changes", "\"one\"", "changes = "},
                 {"/changes/0", "5", "changes = 5"},
                 {"/tensors", "\"../elsewhere.safetensors\"", "tensors is not"},
                 {"/tensors", "\"checkpoint-1/../../x.safetensors\"", "tensors is not"},
                 {"/tensors_sha256", "null", "tensors_sha256 = null"},
                 {"/tracks", "[]", "tracks"},
                 {"/tracks/logits", "\"teacher\"", "tracks.logits is not"},
                 {"/allowed", "{\"word\": 1}", "allowed = "},
                 {"/allowed/0/word", "1", "allowed.word = 1"},
                 {"/validation", "0.5", "validation"},
                 {"/validation/top1", "50", "validation.top1 = 50"},
                 {"/validation/images", "1.5", "validation.images = 1.5"},
                 {"/best_validation/top5", "-1", "best_validation.top5 = -1"},
                 {"/agreement", "-0.25", "agreement = -0.25"},
                 {"/passes/all", "[0, 4294967296]", "passes.all = 4294967296"},
                 {"/passes/all", "[0, 1.5]", "passes.all = 1.5"},
                 {"/passes/with_maps", "[2, 1]", "passes are not"}},
                [&] { read_checkpoint(directory.path()); });
}

TEST_CASE("a run's summary is read as it was written, and values that cannot be are damage") {
  const TemporaryDirectory directory;
  CHECK_FALSE(read_summary(directory.path()));
  write_summary(directory.path(), result());
  const std::filesystem::path file = directory / "summary.json";
  const std::string bytes = read_whole(file);
  const std::optional<TrainResult> back = read_summary(directory.path());
  REQUIRE(back);
  CHECK(back->stages == result().stages);
  CHECK(back->of_best);
  CHECK(back->test->top1 == 0.5);
  CHECK(back->last_test->top1 == 0.25);
  write_summary(directory.path(), *back);
  CHECK(read_whole(file) == bytes);
  check_refused(file,
                {{"/steps", "1.5", "steps = 1.5"},
                 {"/steps", "-12", "steps = -12"},
                 {"/images_seen", "true", "images_seen = true"},
                 {"/wall_seconds", "[]", "wall_seconds = []"},
                 {"/core_seconds", "-1", "core_seconds = -1"},
                 {"/wait_share", "\"0\"", "wait_share = "},
                 {"/left_out_views", "2.5", "left_out_views = 2.5"},
                 {"/size", "4294967328", "size = 4294967328"},
                 {"/evaluated_on", "\"training\"", "evaluated_on is neither"},
                 {"/top1", "1.5", "top1 = 1.5"},
                 {"/weights", "\"middle\"", "weights is neither"},
                 {"/last_top1", "-1", "last_top1 = -1"},
                 {"/last_top5", "\"1\"", "last_top5 = "},
                 {"/test_images", "\"/images/test\"", "test_images"},
                 {"/test_images/hash", "3", "test_images.hash = 3"},
                 {"/validation_images/folder", "[]", "validation_images.folder = []"},
                 {"/evaluated_images", "40.5", "evaluated_images = 40.5"},
                 {"/skipped_updates", "-3", "skipped_updates = -3"},
                 {"/allowed/0", "\"mixed\"", "allowed"},
                 {"/stages", "[\"layer3\"]", "stages"},
                 {"/stages/features.1", "3", "stages.features.1 = 3"},
                 {"/stages/features.1", "\"layer9\"", "stages.features.1 is not"},
                 {"/changes/0", "{}", "changes = {}"}},
                [&] { read_summary(directory.path()); });

  // Of an earlier version: the figures are of the last weights, and where the images were is unknown.
  Json old = Json::parse(bytes);
  for (const char* key : {"weights", "last_top1", "last_top5", "test_images", "validation_images"}) old.erase(key);
  write_whole(file, old.dump());
  const std::optional<TrainResult> earlier = read_summary(directory.path());
  REQUIRE(earlier);
  CHECK_FALSE(earlier->of_best);
  CHECK(earlier->test->top1 == 0.5);
  CHECK_FALSE(earlier->last_test);
  CHECK_FALSE(earlier->test_images);
}
