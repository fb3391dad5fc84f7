// GPUs and CPUs that test machines lack are given as records.
#include "extract/mixed.h"

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cache/writer.h"
#include "extract/compare.h"
#include "tests/cache/sample.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

const ComputeRecord kA100{
    {.kind = "cuda",
     .name = "NVIDIA A100-SXM4-80GB",
     .capability = "8.0",
     .libraries = {{"cublas", "13.1.0"}, {"cuda", "13.0"}, {"cudnn", "9.19.0"}, {"libtorch", "2.11.0"}}},
    "fp32",
    16};

struct Begun {
  TemporaryDirectory directory;
  Plan plan{sample_index(11), sample_options()};
  TrackInfo track = sample_tracks(plan)[0];

  explicit Begun(const ComputeRecord& by) {
    track.made_with = by;
    create_track(directory.path(), track);
  }
  std::string added_by(const ComputeRecord& other, bool allow_mixed = false) const {
    TrackInfo now = track;
    now.made_with = other;
    const std::string sentence = message_of([&] { with_arithmetic_of_cache(directory.path(), now, allow_mixed); });
    // A check before there is a plan gives the same message.
    now.plan_hash.clear();
    CHECK(message_of([&] { check_tracks_of_cache(directory.path(), {now}, allow_mixed); }) == sentence);
    return sentence;
  }
};

}  // namespace

TEST_CASE("another GPU or version of its libraries is refused with both named, unless allowed") {
  const Begun begun(kA100);
  CHECK(begun.added_by(kA100) == "");
  ComputeRecord h200 = kA100;
  h200.device.name = "NVIDIA H200", h200.device.capability = "9.0";
  const std::string refused = begun.added_by(h200);
  CAPTURE(refused);
  CHECK(has(refused,
            "track.json: was made with device.name \"NVIDIA A100-SXM4-80GB\", this run has \"NVIDIA H200\", "
            "device.capability \"8.0\", this run has \"9.0\", and values would differ"));
  CHECK(begun.added_by(h200, true) == "");
  TrackInfo now = begun.track;
  now.made_with = h200;
  CHECK(with_arithmetic_of_cache(begun.directory.path(), now, true) == begun.track);  // shards record what made them

  ComputeRecord cudnn = kA100;
  cudnn.device.libraries["cudnn"] = "9.20.0";
  CHECK(has(begun.added_by(cudnn), "libraries.cudnn \"9.19.0\", this run has \"9.20.0\""));
  ComputeRecord batch = kA100;
  batch.micro_batch = 64;
  CHECK(has(begun.added_by(batch), "micro_batch 16, this run has 64"));
  CHECK(has(begun.added_by(sample_compute()), "device.kind \"cuda\", this run has \"cpu\""));
}

TEST_CASE("a track of resampled weights that an earlier version began without recording it is continued as it is") {
  const Begun begun(kA100);
  TrackInfo now = begun.track;
  now.teacher.resampled_from = {16, 8};
  CHECK(with_arithmetic_of_cache(begun.directory.path(), now, false) == begun.track);
  check_tracks_of_cache(begun.directory.path(), {now}, false);
}

TEST_CASE("logits that an earlier version began without recording their class names are continued as they are") {
  const Begun begun(kA100);
  TrackInfo now = begun.track;
  now.class_names_sha256 = std::string(64, 'f');
  CHECK(with_arithmetic_of_cache(begun.directory.path(), now, false) == begun.track);
  check_tracks_of_cache(begun.directory.path(), {now}, false);
}

TEST_CASE("with a GPU, the CPU model is not compared") {
  // Two hosts with the same kind of GPU have equal records, which contain nothing about the host.
  const auto json = to_json(kA100);
  CHECK(json.at("device").size() == 3);  // kind, name, capability
  CHECK(json.at("libraries").size() == 4);
  for (const char* key : {"instruction_sets", "cpu_capability"}) CHECK_FALSE(json.at("device").contains(key));
}

TEST_CASE("another CPU model is refused with both named") {
  const Begun begun(sample_compute());
  ComputeRecord other = sample_compute();
  other.device.instruction_sets = {"AMX_BF16", "AVX512_BF16"};
  CHECK(has(begun.added_by(other),
            "device.instruction_sets [\"AVX512_BF16\"], this run has [\"AMX_BF16\",\"AVX512_BF16\"]"));
  other = sample_compute();
  other.device.name = "Sample CPU 8";
  CHECK(has(begun.added_by(other), "device.name \"Sample CPU 7\", this run has \"Sample CPU 8\""));
}

TEST_CASE("precision is never mixed") {
  const Begun begun(kA100);
  TrackInfo now = begun.track;
  now.made_with.precision = "bf16";
  const TrackInfo kept = with_arithmetic_of_cache(begun.directory.path(), now, true);
  CHECK(has(message_of([&] { create_track(begun.directory.path(), kept); }),
            "made_with.precision is \"fp32\", but \"bf16\" in this run"));
}
