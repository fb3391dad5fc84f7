#include "tools/commands/bench/targets.h"

#include <algorithm>
#include <cmath>
#include <future>
#include <memory>
#include <string>

#include "common/base/local_ranks.h"
#include "common/base/philox.h"
#include "common/cache/writer.h"
#include "common/codec/codec.h"
#include "common/codec/make_codec.h"
#include "common/codec/transform/basis.h"
#include "common/codec/transform/encoder/calibrator.h"

namespace vitrine::bench {
namespace {

constexpr std::uint32_t kSide = 14, kPositions = kSide * kSide, kSources = 48, kCoarse = 4;

// Laplace with standard deviation 1.
float heavy_tailed(RandomStream& stream) {
  const double u = stream.uniform() - 0.5;
  return static_cast<float>(std::copysign(std::log1p(-2 * std::min(std::fabs(u), 0.4999999)), -u) / std::sqrt(2.0));
}

// A smooth map: kCoarse x kCoarse draws, bilinearly interpolated.
void smooth_map(RandomStream& stream, float* map) {
  float coarse[kCoarse][kCoarse];
  for (auto& row : coarse)
    for (float& x : row) x = heavy_tailed(stream);
  for (std::uint32_t y = 0; y < kSide; ++y)
    for (std::uint32_t x = 0; x < kSide; ++x) {
      const float fy = static_cast<float>(y * (kCoarse - 1)) / kSide,
                  fx = static_cast<float>(x * (kCoarse - 1)) / kSide;
      const auto iy = static_cast<std::uint32_t>(fy), ix = static_cast<std::uint32_t>(fx);
      const float ay = fy - static_cast<float>(iy), ax = fx - static_cast<float>(ix);
      map[y * kSide + x] = (1 - ay) * ((1 - ax) * coarse[iy][ix] + ax * coarse[iy][ix + 1]) +
                           ay * ((1 - ax) * coarse[iy + 1][ix] + ax * coarse[iy + 1][ix + 1]);
    }
}

void make_features(RandomStream& stream, const std::vector<float>& mixing, std::uint32_t channels, float* out) {
  std::vector<float> sources(kSources * kPositions), noise(kPositions);
  for (std::uint32_t k = 0; k < kSources; ++k) {
    float* source = sources.data() + k * kPositions;
    smooth_map(stream, source);
    const float shared = heavy_tailed(stream), scale = 1.5f / std::sqrt(1.0f + static_cast<float>(k));
    for (std::uint32_t p = 0; p < kPositions; ++p)
      source[p] = scale * (0.4f * shared + 0.6f * source[p] + heavy_tailed(stream));
  }
  for (std::uint32_t c = 0; c < channels; ++c) {
    float* map = out + c * kPositions;
    for (std::uint32_t p = 0; p < kPositions; ++p) map[p] = 0.1f * heavy_tailed(stream);
    for (std::uint32_t k = 0; k < kSources; ++k)
      for (std::uint32_t p = 0; p < kPositions; ++p) map[p] += mixing[c * kSources + k] * sources[k * kPositions + p];
  }
  for (std::uint32_t p = 0; p < kPositions; ++p) {
    float squares = 0;
    for (std::uint32_t c = 0; c < channels; ++c) squares += out[c * kPositions + p] * out[c * kPositions + p];
    const float scale = std::sqrt(static_cast<float>(channels) / squares);
    for (std::uint32_t c = 0; c < channels; ++c) out[c * kPositions + p] *= scale;
  }
}

void make_attention(RandomStream& stream, float* map) {
  smooth_map(stream, map);
  float sum = 0;
  for (std::uint32_t p = 0; p < kPositions; ++p)
    sum += map[p] = std::exp(2 * map[p] + 0.5f * static_cast<float>(stream.normal()));
  for (std::uint32_t p = 0; p < kPositions; ++p) map[p] /= sum;
}

std::vector<Array> encode_group(const TrackInfo& track, const std::vector<float>& values, std::uint32_t views,
                                const std::shared_ptr<const FeatureBasis>& basis = nullptr) {
  return make_codec(track.codec, track.shape, basis)->encode(values, views);
}

// The basis of a transform track, whose hash is set in `track`; nullptr for other encodings.
std::shared_ptr<const FeatureBasis> calibrate(const Plan& plan, TrackInfo& track) {
  if (track.codec.encoding != Encoding::kTransform) return nullptr;
  Calibrator calibrator(track.shape[0], track.shape[1], track.shape[2]);
  const std::uint32_t group = plan.options().group;
  for (std::uint32_t g = 0; g < plan.groups_per_pass(); ++g) calibrator.add(vit_tiny_values(track, group, g), group);
  auto basis = std::make_shared<const FeatureBasis>(calibrator.finish(track.codec.max_error, group));
  track.codec.basis = basis->hash();
  return basis;
}

// Not a model: its values are random numbers in the shapes of a ViT-Ti.
TeacherRecord bench_teacher() {
  TeacherRecord teacher;
  teacher.name = "bench";
  teacher.weights_sha256 = teacher.class_list_sha256 = std::string(64, '0');
  teacher.architecture = {"none", "{}"};
  teacher.mean = teacher.stddev = {0.5, 0.5, 0.5};
  teacher.interpolation = "bicubic";
  return teacher;
}

TrackInfo track_of(const Plan& plan, const std::string& kind, std::vector<std::uint32_t> shape, Encoding encoding) {
  TrackInfo track;
  track.teacher = bench_teacher();
  track.made_with = {.device = {.kind = "none", .name = "random numbers"}, .precision = "fp32", .micro_batch = 1};
  track.kind = kind;
  track.block = kind == "logits" ? -1 : 11;
  track.shape = std::move(shape);
  track.codec.encoding = encoding;
  track.plan_hash = plan.hash();
  return track;
}

void write_recipes_of(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass) {
  for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard)
    write_recipes(directory, plan, pass, shard,
                  std::vector<std::uint64_t>(plan.layout().span_of({pass, shard}).groups));
}

}  // namespace

Plan make_plan(std::uint32_t groups, std::uint32_t group, std::uint32_t shard_groups) {
  auto index = std::make_shared<ImageIndex>();
  index->classes = {"any"};
  for (std::uint32_t i = 0; i < groups * group; ++i)
    index->images.push_back({"any/" + std::to_string(i) + ".jpg", 375, 500, 0, 1, i});
  PlanOptions options;
  options.group = group;
  options.shard_groups = shard_groups;
  return Plan(index, options);
}

std::vector<TrackInfo> vit_tiny_tracks(const Plan& plan, bool usual) {
  std::vector<TrackInfo> tracks{
      track_of(plan, "logits", {1000}, usual ? Encoding::kUniform : Encoding::kFp16),
      track_of(plan, "features", {192, kSide, kSide}, usual ? Encoding::kTransform : Encoding::kInt8),
      track_of(plan, "attention", {3, kSide, kSide}, Encoding::kSqrt8)};
  if (usual) {
    tracks[0].codec.max_error = 1.0 / 64;
    tracks[1].codec.max_error = 0.01;
  }
  return tracks;
}

std::vector<float> vit_tiny_values(const TrackInfo& track, std::uint32_t views, std::uint32_t group) {
  std::vector<float> values(track.view_values() * views), mixing;
  if (track.kind == "features") {
    RandomStream stream(1, Purpose::kSample, 0, 0);
    for (std::uint32_t i = 0; i < track.shape[0] * kSources; ++i)
      mixing.push_back(static_cast<float>(stream.normal() / std::sqrt(kSources)));
  }
  for (std::uint32_t view = 0; view < views; ++view) {
    float* own = values.data() + view * track.view_values();
    RandomStream stream(2 + track.view_values(), Purpose::kSample, group, view);
    if (track.kind == "features") {
      make_features(stream, mixing, track.shape[0], own);
    } else if (track.kind == "attention") {
      for (std::uint32_t head = 0; head < track.shape[0]; ++head) make_attention(stream, own + head * kPositions);
    } else {
      for (std::uint32_t k = 0; k < track.shape[0]; ++k) own[k] = static_cast<float>(1.5 * stream.normal());
      own[stream.bits() % track.shape[0]] += 8;
    }
  }
  return values;
}

void write_vit_tiny_cache(const std::filesystem::path& directory, const Plan& plan, std::uint32_t passes, int level,
                          bool usual) {
  create_cache(directory, plan.index(), plan);
  for (std::uint32_t pass = 0; pass < passes; ++pass) write_recipes_of(directory, plan, pass);
  for (TrackInfo track : vit_tiny_tracks(plan, usual)) {
    track.compression = level;
    const std::shared_ptr<const FeatureBasis> basis = calibrate(plan, track);
    create_track(directory, track, basis.get());
    for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard) {
      std::vector<std::vector<Array>> groups;
      const ShardSpan span = plan.layout().span_of({0, shard});
      for (std::uint32_t g = 0; g < span.groups; ++g)
        groups.push_back(encode_group(track, vit_tiny_values(track, plan.options().group, span.group(g).group),
                                      plan.options().group, basis));
      for (std::uint32_t pass = 0; pass < passes; ++pass) write_shard(directory, track, plan, pass, shard, groups);
    }
  }
}

TrackInfo write_many_shards(const std::filesystem::path& directory, std::uint32_t shards, std::uint32_t groups) {
  constexpr std::uint32_t kViews = 2, kShardsOfPass = 50;
  const Plan plan = make_plan(kShardsOfPass * groups, kViews, groups);
  create_cache(directory, plan.index(), plan);
  const TrackInfo track =
      track_of(plan, "features", {4, 1, 1}, Encoding::kInt8);  // two chunks per group, as for a ViT-Tiny
  create_track(directory, track);
  const std::vector<std::vector<Array>> arrays(
      groups, encode_group(track, std::vector<float>(kViews * track.view_values(), 1.0f), kViews));
  std::vector<std::future<void>> writers;
  const std::uint32_t workers = default_threads();
  for (std::uint32_t t = 0; t < workers; ++t)
    writers.push_back(std::async(std::launch::async, [&, t] {
      for (std::uint32_t s = t; s < shards; s += workers)
        write_shard(directory, track, plan, s / kShardsOfPass, s % kShardsOfPass, arrays);
    }));
  for (std::future<void>& writer : writers) writer.get();
  return track;
}

}  // namespace vitrine::bench
