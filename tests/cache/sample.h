// A small index, a plan over it and random targets.
#ifndef VITRINE_TESTS_CACHE_SAMPLE_H_
#define VITRINE_TESTS_CACHE_SAMPLE_H_

#include <memory>
#include <string>
#include <vector>

#include "common/base/philox.h"
#include "common/cache/writer.h"
#include "common/codec/make_codec.h"
#include "common/plan/epoch.h"

namespace vitrine::testing {

/// 2 classes; images of different sizes.
inline std::shared_ptr<const ImageIndex> sample_index(std::uint32_t images) {
  auto index = std::make_shared<ImageIndex>();
  index->classes = {"apple", "b\xC3\xA4r"};  // an umlaut: names are UTF-8
  for (std::uint32_t i = 0; i < images; ++i)
    index->images.push_back({index->classes[i % 2] + "/" + std::to_string(i * i) + ".jpg", 20 + i, 30 + 2 * i, i % 2,
                             1000 + i, 0x9E3779B97F4A7C15ull * (i + 1)});
  return index;
}

/// Groups of 4 views, 2 groups per shard: 11 images make 3 groups and 2 shards, the last one with a single group.
inline PlanOptions sample_options() {
  PlanOptions options;
  options.seed = 5;
  options.group = 4;
  options.shard_groups = 2;
  options.image_size = 32;
  return options;
}

/// A ViT that matches no track's shape; nothing runs it.
inline TeacherRecord sample_teacher(const std::string& name) {
  TeacherRecord teacher;
  teacher.name = name;
  teacher.weights_sha256 = std::string(64, 'a');
  teacher.architecture.settings = R"({"classes":5,"depth":4,"dim":16,"heads":2,"image_size":32,"patch":8})";
  teacher.mean = {0.485, 0.456, 0.406}, teacher.stddev = {0.229, 0.224, 0.225};
  teacher.crop_pct = 0.875;
  teacher.interpolation = "bicubic";
  teacher.class_list_sha256 = std::string(64, 'c');
  return teacher;
}

inline ComputeRecord sample_compute() {
  return {{"cpu", "Sample CPU 7", "AVX2", {"AVX512_BF16"}, {{"libtorch", "2.11.0"}}}, "fp32", 4};
}

inline std::vector<TrackInfo> sample_tracks(const Plan& plan) {
  TrackInfo logits;
  logits.teacher = sample_teacher("tiny");
  logits.kind = "logits";
  logits.shape = {5};
  logits.codec.encoding = Encoding::kFp16;
  logits.plan_hash = plan.hash();
  logits.made_with = sample_compute();
  TrackInfo features = logits, attention = logits, exact = logits;
  features.kind = "features", features.block = 3, features.shape = {6, 2, 3}, features.codec.encoding = Encoding::kInt8;
  attention.kind = "attention", attention.block = 3, attention.shape = {2, 2, 3},
  attention.codec.encoding = Encoding::kSqrt8;
  exact.teacher.name = "other", exact.codec.encoding = Encoding::kFp32, exact.compression = {3, 16};
  TrackInfo uniform = logits, few = logits, halves = logits;
  uniform.teacher.name = "uniform", uniform.codec = {.encoding = Encoding::kUniform, .max_error = 1.0 / 64};
  few.teacher.name = "few",
  few.codec = {.encoding = Encoding::kTopk, .max_error = 0.01, .kept = 2, .temperatures = {4, 1}};
  halves.teacher.name = "half", halves.codec = {.encoding = Encoding::kTopk, .kept = 3, .temperatures = {2}};
  return {logits, features, attention, exact, uniform, few, halves};
}

/// Logits that a program wrote with vitrine_cache.Writer.
inline TrackInfo written_track(const Plan& plan) {
  TrackInfo track = sample_tracks(plan)[0];
  track.teacher.name = "own";
  track.teacher.architecture = {"pytorch", "{}"};
  return track;
}

/// Logits of so many classes that class numbers take two bytes, and four.
inline std::vector<TrackInfo> wide_tracks(const Plan& plan) {
  TrackInfo hundreds = sample_tracks(plan)[0], thousands = hundreds;
  hundreds.teacher.name = "hundreds", hundreds.shape = {300};
  hundreds.codec = {.encoding = Encoding::kTopk, .max_error = 0.01, .kept = 40, .temperatures = {1, 4, 0.5}};
  thousands.teacher.name = "thousands", thousands.shape = {70000};
  thousands.codec = {.encoding = Encoding::kTopk, .kept = 50, .temperatures = {2}};
  return {hundreds, thousands};
}

/// Random targets of a group: normal, or in [0, 1) for attention.
inline std::vector<float> sample_values(const Plan& plan, const TrackInfo& track, GroupKey key) {
  std::vector<float> values(track.view_values() * plan.options().group);
  RandomStream stream(track.view_values(), Purpose::kSample, key.pass, key.group);
  for (float& x : values) x = static_cast<float>(track.kind == "attention" ? stream.uniform() : 4 * stream.normal());
  return values;
}

inline void write_sample_shard(const std::filesystem::path& directory, const Plan& plan, const TrackInfo& track,
                               std::uint32_t pass, std::uint32_t shard) {
  std::vector<std::vector<Array>> groups;
  for (std::uint32_t g = 0; g < plan.layout().span_of(ShardKey{0, shard}).groups; ++g)
    groups.push_back(make_codec(track.codec, track.shape)
                         ->encode(sample_values(plan, track, {pass, shard * plan.options().shard_groups + g}),
                                  plan.options().group));
  write_shard(directory, track, plan, pass, shard, groups);
}

inline std::uint64_t sample_picture_hash(GroupKey key) {
  return 0xF000000000000000ull + key.pass * 1000 + key.group;
}

/// A complete cache of `passes` passes.
inline void write_sample(const std::filesystem::path& directory, const Plan& plan, std::uint32_t passes) {
  create_cache(directory, plan.index(), plan);
  for (const TrackInfo& track : sample_tracks(plan)) create_track(directory, track);
  for (std::uint32_t pass = 0; pass < passes; ++pass)
    for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard) {
      std::vector<std::uint64_t> hashes;
      for (std::uint32_t g = 0; g < plan.layout().span_of(ShardKey{0, shard}).groups; ++g)
        hashes.push_back(sample_picture_hash({pass, shard * plan.options().shard_groups + g}));
      write_recipes(directory, plan, pass, shard, hashes);
      for (const TrackInfo& track : sample_tracks(plan)) write_sample_shard(directory, plan, track, pass, shard);
    }
}

/// An edited track.json text with its check recomputed.
inline std::string with_new_check(std::string text) {
  const std::size_t check = text.rfind(",\n  \"check\"");
  return with_check(text.substr(0, check) + "\n}\n");
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_CACHE_SAMPLE_H_
