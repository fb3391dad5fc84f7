#include "common/teacher/teacher.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/progress.h"
#include "common/cache/track.h"
#include "common/codec/frame.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"
#include "common/models/device.h"
#include "common/models/torch_errors.h"
#include "common/teacher/open_teacher.h"
#include "common/teacher/check_output.h"
#include "common/teacher/records.h"

namespace vitrine {
namespace {

std::vector<std::int64_t> blocks_of(const std::vector<int>& blocks, std::int64_t depth, const char* key) {
  std::vector<std::int64_t> out;
  for (const int block : blocks) {
    const std::int64_t counted = block < 0 ? depth + block : block;
    if (counted < 0 || counted >= depth)
      fail("taps.", key, " names block ", block, ", but the teacher has blocks 0 to ", depth - 1, " (or -", depth,
           " to -1, from the end)");
    for (const std::int64_t other : out)
      if (other == counted) fail("taps.", key, " names block ", counted, " twice; name each block once");
    out.push_back(counted);
  }
  return out;
}

void check_heads(const std::vector<int>& heads, std::int64_t count) {
  for (std::size_t i = 0; i < heads.size(); ++i) {
    if (heads[i] < 0 || heads[i] >= count)
      fail("taps.attention_heads names head ", heads[i], ", but the teacher has heads 0 to ", count - 1);
    if (std::find(heads.begin(), heads.begin() + static_cast<std::ptrdiff_t>(i), heads[i]) !=
        heads.begin() + static_cast<std::ptrdiff_t>(i))
      fail("taps.attention_heads names head ", heads[i], " twice; name each head once");
  }
}

const ComputeAdvice kAdvice{
    .what = "the teacher's forward",
    .memory =
        "lower teacher.micro_batch (but not for an existing cache, whose values depend on it) or use fewer workers",
    .shapes = "check teacher.image_size, teacher.patch and the weights"};

std::vector<float> to_vector(const std::vector<at::Tensor>& parts) {
  const at::Tensor whole = at::cat(parts).to(at::kCPU).contiguous();
  const float* data = whole.const_data_ptr<float>();
  return {data, data + whole.numel()};
}

}  // namespace

Teacher::Teacher(const TeacherOptions& options, const TapOptions& taps)
    : options_(options),
      tap_options_(taps),
      device_(select_device(options.device)),
      precision_(options.precision, device_, "teacher.precision") {
  check_taps(taps);
  OpenedTeacher opened = open_teacher(options, device_);
  options_ = std::move(opened.options);
  weights_sha256_ = std::move(opened.weights_sha256);
  resampled_from_ = opened.resampled_from;
  normalisation_recorded_ = opened.normalisation_recorded;
  network_ = std::move(opened.network);
  class_names_ = std::move(opened.classes);
  decoding_ = opened.decoding;
  for (const std::string& sentence : opened.notes) note(sentence);
  rgb_triplet(options_.mean, "teacher.mean");
  rgb_triplet(options_.stddev, "teacher.std");
  choose_taps();
  made_with_ = {describe_device(device_), precision_.arithmetic(), options_.micro_batch};
}

Teacher::~Teacher() = default;

CleanCrop Teacher::clean_crop() const {
  return {options_.crop_pct, options_.crop_mode == "squash" ? CropMode::kSquash : CropMode::kCentre,
          resample_filter(options_.interpolation).value_or(ResampleFilter::kBicubic)};
}

std::size_t Teacher::Tap::values() const {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

std::string Teacher::Tap::words() const {
  return block < 0 ? kind : text(kind, kind == std::string("attention") ? " values" : "", " of block ", block);
}

void Teacher::choose_taps() {
  const NetworkShape& network = network_->shape();
  network_taps_ = {blocks_of(tap_options_.features, network.depth(), "features"),
                   blocks_of(tap_options_.attention, network.depth(), "attention"), tap_options_.normalise,
                   tap_options_.attention_rollout};
  if (tap_options_.attention_rollout && !network_taps_.attentions.empty() && !network_->has_rollout())
    fail(
        "taps.attention_rollout = true, but the teacher is an exported module, which gives no rows of patches; set it "
        "to false");
  if (tap_options_.logits && network.classes > 0) taps_.push_back({"logits", -1, {network.classes}});
  if (tap_options_.logits && network.classes == 0)
    note(text("teacher ", options_.name, " has no head: no logits are kept (taps.logits = false says the same)"));
  if (tap_options_.embedding) {
    if (network.embedding == 0) fail("taps.embedding = true, but the teacher has no pooled feature; set it to false");
    taps_.push_back({"embedding", -1, {network.embedding}});
  }
  for (const std::int64_t block : network_taps_.features) {
    const BlockShape& shape = network.blocks[static_cast<std::size_t>(block)];
    if (shape.channels == 0) fail("taps.features names block ", block, ", of which the teacher gives no features");
    taps_.push_back({"features", block, {shape.channels, shape.height, shape.width}});
  }
  for (const std::int64_t block : network_taps_.attentions) {
    const BlockShape& shape = network.blocks[static_cast<std::size_t>(block)];
    if (shape.heads == 0) fail("taps.attention names block ", block, ", of which the teacher gives no attention");
    check_heads(tap_options_.attention_heads, shape.heads);
    const std::size_t kept = tap_options_.attention_heads.size();
    const bool one_map = tap_options_.attention_mean || tap_options_.attention_rollout;
    const auto heads = one_map ? 1 : kept > 0 ? static_cast<std::uint32_t>(kept) : shape.heads;
    taps_.push_back({"attention", block, {heads, shape.attention_height, shape.attention_width}});
  }
  if (taps_.empty()) fail("taps select no targets; set taps.features, taps.attention, taps.embedding or taps.logits");
}

std::vector<TrackInfo> Teacher::tracks(const Plan& plan) const {
  if (static_cast<int>(plan.options().image_size) != image_size())
    fail("plan.image_size = ", plan.options().image_size, " is not the teacher's ", image_size(),
         "; set it to that, as boxes are in the teacher's pixels, or set teacher.image_size = ",
         plan.options().image_size, ", for which a ViT's positions are resampled");
  if (plan.options().group % options_.micro_batch != 0)
    fail("teacher.micro_batch = ", options_.micro_batch, " does not divide plan.group = ", plan.options().group,
         "; choose one that does");
  std::string classes;
  for (const std::string& name : plan.index().classes) classes += name + "\n";
  std::vector<TrackInfo> out = outputs();
  for (TrackInfo& track : out) {
    check_group(track, plan.options().group, std::lcm(2u, options_.micro_batch));
    track.plan_hash = plan.hash();
    track.teacher.class_list_sha256 = sha256_hex(classes);
  }
  return out;
}

TrackInfo Teacher::track_of(const Tap& tap, const TrackInfo& base) const {
  TrackInfo track = base;
  track.kind = tap.kind;
  track.compression = tap_options_.compression(track.kind);
  track.block = static_cast<int>(tap.block);
  track.normalised = track.kind == "features" && tap_options_.normalise;
  track.shape = tap.shape;
  const std::string& encoding = tap_options_.encoding(track.kind);
  const std::string key = text("taps.", tap.kind, "_encoding");
  track.codec.encoding = encoding_from_name(encoding, key);
  if (track.codec.encoding == Encoding::kUniform || track.codec.encoding == Encoding::kTopk)
    track.codec.max_error = tap_options_.logits_error;
  if (track.codec.encoding == Encoding::kTopk) {
    track.codec.kept = tap_options_.topk;
    track.codec.temperatures = tap_options_.topk_temperatures;
  }
  if (track.kind == "attention") {
    track.heads = tap_options_.attention_heads;
    track.heads_mean = tap_options_.attention_mean || tap_options_.attention_rollout;
    track.rollout = tap_options_.attention_rollout;
  }
  if (track.codec.encoding == Encoding::kTransform)
    track.codec.max_error = tap_options_.max_error;
  else
    track.codec.check(track.shape, text(key, " = \"", encoding, "\""));
  return track;
}

std::vector<TrackInfo> Teacher::outputs() const {
  TrackInfo base;
  base.teacher = teacher_record(options_, network_->record(), weights_sha256_, resampled_from_);
  base.made_with = made_with_;
  std::vector<TrackInfo> out;
  for (const Tap& tap : taps_) out.push_back(track_of(tap, base));
  return out;
}

TeacherOutputs Teacher::forward(std::span<const std::uint8_t> pictures, std::uint32_t views, const TeacherTaps& taps,
                                const Normalisation& colours) const {
  const std::int64_t size = image_size();
  const at::Tensor bytes =
      at::from_blob(const_cast<std::uint8_t*>(pictures.data()), {views, size, size, 3}, at::kByte).to(device_);
  const at::Tensor x =
      normalise_pictures(bytes, rgb_triplet(colours.mean, "teacher.mean"), rgb_triplet(colours.stddev, "teacher.std"));
  const Autocast autocast(device_, compute_type(options_.precision));
  return network_->forward(x, taps);
}

std::vector<std::vector<float>> Teacher::run(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                             const StopFlag& stop) const {
  const std::size_t view_bytes = static_cast<std::size_t>(image_size()) * static_cast<std::size_t>(image_size()) * 3;
  if (views == 0 || views % options_.micro_batch != 0 || pictures.size() != views * view_bytes)
    throw std::logic_error("Teacher::run: views are not a multiple of the micro-batch, or images have another size");
  return with_torch_errors(kAdvice, [&] { return compute(pictures, views, stop); });
}

std::vector<std::vector<float>> Teacher::compute(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                                 const StopFlag& stop) const {
  const std::size_t view_bytes = pictures.size() / views;
  const c10::InferenceMode inference;
  std::unique_lock<std::mutex> one_at_a_time(gpu_, std::defer_lock);
  if (!device_.is_cpu()) one_at_a_time.lock();
  std::vector<std::vector<at::Tensor>> parts(taps_.size());
  for (std::uint32_t first = 0; first < views; first += options_.micro_batch) {
    throw_if_stopped(stop, "between two micro-batches");
    const TeacherOutputs out = forward(pictures.subspan(first * view_bytes, options_.micro_batch * view_bytes),
                                       options_.micro_batch, network_taps_, normalisation());
    std::size_t features = 0, attentions = 0;
    for (std::size_t t = 0; t < taps_.size(); ++t) {
      const std::string kind = taps_[t].kind;
      parts[t].push_back(kind == "logits"      ? out.logits
                         : kind == "embedding" ? out.embedding
                         : kind == "features"  ? out.features[features++]
                                               : kept_heads(out.attentions[attentions++]));
    }
  }
  std::vector<std::vector<float>> values;
  for (std::size_t t = 0; t < taps_.size(); ++t) {
    values.push_back(to_vector(parts[t]));
    check_output(values.back(), views, taps_[t].values(), taps_[t].words(), options_.precision);
  }
  return values;
}

at::Tensor Teacher::kept_heads(const at::Tensor& attention) const {
  if (tap_options_.attention_rollout) return attention;
  at::Tensor kept = attention;
  if (!tap_options_.attention_heads.empty()) {
    std::vector<std::int64_t> heads(tap_options_.attention_heads.begin(), tap_options_.attention_heads.end());
    kept = kept.index_select(1, at::tensor(heads, at::kLong).to(kept.device()));
  }
  return tap_options_.attention_mean ? kept.mean(1, /*keepdim=*/true) : kept;
}

std::vector<float> Teacher::logits(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                   const Normalisation* instead) const {
  if (classes() == 0) throw std::logic_error("Teacher::logits: the teacher has no head");
  return with_torch_errors(
      kAdvice, [&] { return compute_logits(pictures, views, instead != nullptr ? *instead : normalisation()); });
}

std::vector<float> Teacher::compute_logits(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                           const Normalisation& colours) const {
  const std::size_t view_bytes = static_cast<std::size_t>(image_size()) * static_cast<std::size_t>(image_size()) * 3;
  const c10::InferenceMode inference;
  std::unique_lock<std::mutex> one_at_a_time(gpu_, std::defer_lock);
  if (!device_.is_cpu()) one_at_a_time.lock();
  std::vector<at::Tensor> parts;
  for (std::uint32_t first = 0; first < views; first += options_.micro_batch) {
    const std::uint32_t taken = std::min(options_.micro_batch, views - first);
    std::vector<std::uint8_t> batch(options_.micro_batch * view_bytes);
    std::memcpy(batch.data(), pictures.data() + first * view_bytes, taken * view_bytes);
    parts.push_back(forward(batch, options_.micro_batch, {}, colours).logits.slice(0, 0, taken));
  }
  std::vector<float> values = to_vector(parts);
  if (views > 0) check_output(values, views, static_cast<std::size_t>(classes()), "logits", options_.precision);
  return values;
}

void through_codec(const Codec& codec, std::uint32_t views, std::vector<float>& raw) {
  const std::vector<Array> arrays = codec.encode(raw, views);
  std::vector<std::span<const std::byte>> bytes;
  for (const Array& array : arrays) bytes.emplace_back(array.bytes);
  codec.decode(bytes, views, raw);
}

}  // namespace vitrine
