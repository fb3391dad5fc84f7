#include "common/teacher/teacher.h"

#include <torch/torch.h>

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
#include "common/models/load.h"
#include "common/models/safetensors.h"
#include "common/models/torch_errors.h"
#include "common/teacher/outputs.h"
#include "common/teacher/records.h"

namespace vitrine {
namespace {

std::vector<std::int64_t> blocks_of(const std::vector<int>& blocks, int depth, const char* key) {
  std::vector<std::int64_t> out;
  for (const int block : blocks) {
    const int counted = block < 0 ? depth + block : block;
    if (counted < 0 || counted >= depth)
      fail("taps.", key, " names block ", block, ", but the teacher has blocks 0 to ", depth - 1, " (or -", depth,
           " to -1, from the end)");
    for (const std::int64_t other : out)
      if (other == counted) fail("taps.", key, " names block ", counted, " twice; name each block once");
    out.push_back(counted);
  }
  return out;
}

// Rejects encodings that a kind of target never allows; checks that depend on sizes are the codec's.
void check_encodings(const TapOptions& taps) {
  const auto allow = [](const char* key, const std::string& name, std::initializer_list<Encoding> encodings) {
    const Encoding encoding = encoding_from_name(name, text("taps.", key));
    std::string words;
    for (const Encoding allowed : encodings) {
      if (encoding == allowed) return;
      words += text(words.empty() ? "" : ", ", encoding_name(allowed));
    }
    fail("taps.", key, " = \"", name, "\" is not allowed for these targets; expected one of ", words);
  };
  allow("logits_encoding", taps.logits_encoding,
        {Encoding::kFp32, Encoding::kFp16, Encoding::kInt8, Encoding::kUniform, Encoding::kTopk});
  allow("features_encoding", taps.features_encoding,
        {Encoding::kFp32, Encoding::kFp16, Encoding::kInt8, Encoding::kTransform});
  allow("attention_encoding", taps.attention_encoding,
        {Encoding::kFp32, Encoding::kFp16, Encoding::kInt8, Encoding::kSqrt8});
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

const ComputeAdvice kAdvice{.what = "the teacher's forward",
                            .memory =
                                "lower teacher.micro_batch (but not for an existing cache, whose values "
                                "depend on it) or use fewer workers",
                            .shapes = "check the sizes in teacher.vit and the weights"};

std::vector<float> to_vector(const std::vector<at::Tensor>& parts) {
  const at::Tensor whole = at::cat(parts).to(at::kCPU).contiguous();
  const float* data = whole.const_data_ptr<float>();
  return {data, data + whole.numel()};
}

}  // namespace

void TeacherOptions::fields(Fields& f) {
  f.text("name", name, "name of the teacher in the cache; empty: vit.arch, or the weight file's name");
  f.text("weights", weights, "the teacher's weights: a .safetensors file with timm's names");
  f.section("vit", vit, "the teacher's sizes");
  f.choice<std::string>(
      "precision", precision, {{"fp32", "fp32"}, {"tf32", "tf32"}, {"bf16", "bf16"}, {"fp16", "fp16"}},
      "arithmetic of the forward pass (tf32 and bf16 on a GPU need capability 8.0; on the CPU tf32 is fp32); "
      "the head and outputs are FP32");
  f.text("device", device, "cpu, cuda (under torchrun or srun the GPU of the local rank) or cuda:N");
  f.integer("micro_batch", micro_batch, "views per forward pass; divides plan.group", {1, 65536});
  f.numbers("mean", mean, "subtracted from each colour in [0, 1]", {0, 1});
  f.numbers("std", stddev, "each colour is divided by it", {1e-6, 1e6});
  f.number("crop_pct", crop_pct, "clean crop: share of the resized image that is kept (timm's crop_pct)", {0.1, 1});
  f.text("license", license, "the weights' license, recorded in the cache (\"apache-2.0\"); empty: unknown");
}

void TapOptions::fields(Fields& f) {
  f.flag("logits", logits, "keep logits");
  f.integers("features", features, "blocks whose patch tokens are kept; negative ones count from the end",
             {-1000, 1000});
  f.integers("attention", attention, "blocks whose class-token attention is kept", {-1000, 1000});
  f.flag("normalise", normalise, "features after a LayerNorm without affine; false: raw");
  f.integers("attention_heads", attention_heads, "heads kept of each attention block, from 0; empty: all", {0, 1000});
  f.flag("attention_mean", attention_mean, "keep the mean over those heads instead of each");
  f.text("logits_encoding", logits_encoding, "fp32, fp16, int8, uniform (all classes, bounded error) or topk");
  f.number("logits_error", logits_error, "uniform and topk: largest error of a logit; topk: 0 stores fp16", {0, 1e6});
  f.integer("topk", topk, "topk: logits kept per view, fewer than all classes", {1, 4e9});
  f.numbers("topk_temperatures", topk_temperatures,
            "topk: temperatures at which a student may learn (loss.temperature must be one of them)", {0.01, 1000});
  f.text("features_encoding", features_encoding, "fp32, fp16, int8 or transform (bounded error)");
  f.number("max_error", max_error, "transform: share of the features' energy that may be lost, per group",
           {1e-9, 0.999});
  f.integer("calibration_views", calibration_views, "transform: views of pass 0 for calibrating the basis", {1, 1e9});
  f.text("attention_encoding", attention_encoding, "fp32, fp16, int8 or sqrt8");
  f.integer(
      "level", level,
      "zstd level; -1 stores poorly compressible data raw: int8 takes 6 % more space and reads several times as fast",
      {kMinLevel, kMaxLevel});
  const Range levels{kMinLevel, kMaxLevel}, windows{0, kMaxWindow};
  f.integer("logits_level", logits_level, "the same for logits alone; 0: taps.level", levels);
  f.integer("features_level", features_level, "the same for features alone; 0: taps.level", levels);
  f.integer("attention_level", attention_level, "the same for attention alone; 0: taps.level", levels);
  f.integer("logits_window", logits_window,
            "logits: log2 of zstd's window in bytes, at least 10; 0: the level's default", windows);
  f.integer("features_window", features_window, "the same for features", windows);
  f.integer("attention_window", attention_window, "the same for attention", windows);
}

Compression TapOptions::compression(const std::string& kind) const {
  const auto [own, window] = kind == "logits"     ? std::pair(logits_level, logits_window)
                             : kind == "features" ? std::pair(features_level, features_window)
                                                  : std::pair(attention_level, attention_window);
  return {own != 0 ? own : level, window};
}

Teacher::Teacher(const TeacherOptions& options, const TapOptions& taps)
    : options_(options),
      tap_options_(taps),
      device_(select_device(options.device)),
      precision_(options.precision, device_, "teacher.precision") {
  if (options_.weights.empty())
    fail("teacher.weights is not given; expected the path of a .safetensors file with timm's names");
  options_.vit = resolve(options_.vit);
  if (options_.name.empty())
    options_.name =
        options_.vit.arch.empty() ? std::filesystem::path(options_.weights).stem().string() : options_.vit.arch;
  rgb_triplet(options_.mean, "teacher.mean");
  rgb_triplet(options_.stddev, "teacher.std");
  check_encodings(taps);
  if (!is_level(taps.level)) fail("taps.level = 0 is not a zstd level; expected 1 to ", kMaxLevel, ", or -1 for none");
  taps_.features = blocks_of(taps.features, options_.vit.depth, "features");
  taps_.attentions = blocks_of(taps.attention, options_.vit.depth, "attention");
  taps_.normalise = taps.normalise;
  check_heads(taps.attention_heads, options_.vit.heads);
  if (!taps.logits && taps_.features.empty() && taps_.attentions.empty())
    fail("taps select no targets; set taps.logits, taps.features or taps.attention");
  const Tensors weights = load_safetensors(options_.weights);
  weights_sha256_ = sha256_hex_of_file(options_.weights);
  vit_ = Vit(options_.vit);
  if (const LoadReport report = load_weights(*vit_, weights, options_.weights); !report.note.empty()) note(report.note);
  with_torch_errors({"loading the teacher", "end other programs on the GPU, or choose a smaller teacher", ""},
                    [&] { vit_->to(device_); });
  vit_->eval();
  for (at::Tensor& parameter : vit_->parameters()) parameter.requires_grad_(false);
  vit_->freeze(compute_type(options_.precision));
  made_with_ = {describe_device(device_), precision_.arithmetic(), options_.micro_batch};
}

Teacher::~Teacher() = default;

int Teacher::image_size() const {
  return static_cast<int>(options_.vit.image_size);
}
int Teacher::classes() const {
  return static_cast<int>(options_.vit.classes);
}

std::vector<TrackInfo> Teacher::tracks(const Plan& plan) const {
  if (static_cast<int>(plan.options().image_size) != image_size())
    fail("plan.image_size = ", plan.options().image_size, " is not the teacher's ", image_size(),
         "; set it to that, as boxes are in the teacher's pixels");
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

std::vector<TrackInfo> Teacher::outputs() const {
  TrackInfo base;
  base.teacher = teacher_record(options_, weights_sha256_);
  base.made_with = made_with_;
  const auto side = static_cast<std::uint32_t>(vit_->grid());
  std::vector<TrackInfo> out;
  const auto add = [&](const char* kind, int block, std::vector<std::uint32_t> shape, const std::string& encoding) {
    TrackInfo track = base;
    track.kind = kind;
    track.compression = tap_options_.compression(kind);
    track.block = block;
    track.normalised = track.kind == "features" && tap_options_.normalise;
    track.shape = std::move(shape);
    track.codec.encoding = encoding_from_name(encoding, text("taps.", kind, "_encoding"));
    if (track.codec.encoding == Encoding::kUniform || track.codec.encoding == Encoding::kTopk)
      track.codec.max_error = tap_options_.logits_error;
    if (track.codec.encoding == Encoding::kTopk) {
      track.codec.kept = tap_options_.topk;
      track.codec.temperatures = tap_options_.topk_temperatures;
    }
    if (track.kind == "attention") {
      track.heads = tap_options_.attention_heads;
      track.heads_mean = tap_options_.attention_mean;
    }
    if (track.codec.encoding == Encoding::kTransform)
      track.codec.max_error = tap_options_.max_error;
    else
      track.codec.check(track.shape, text("taps.", kind, "_encoding = \"", encoding, "\""));
    if (!is_window(track.compression.window_log))
      fail("taps.", kind, "_window = ", track.compression.window_log, " is not a zstd window; expected ", kMinWindow,
           " to ", kMaxWindow, ", or 0 for the level's own");
    out.push_back(std::move(track));
  };
  if (tap_options_.logits)
    add("logits", -1, {static_cast<std::uint32_t>(options_.vit.classes)}, tap_options_.logits_encoding);
  for (const std::int64_t block : taps_.features)
    add("features", static_cast<int>(block), {static_cast<std::uint32_t>(vit_->dim()), side, side},
        tap_options_.features_encoding);
  const auto heads = static_cast<std::uint32_t>(heads_kept());
  for (const std::int64_t block : taps_.attentions)
    add("attention", static_cast<int>(block), {heads, side, side}, tap_options_.attention_encoding);
  return out;
}

VitOutputs Teacher::forward(std::span<const std::uint8_t> pictures, std::uint32_t views, const VitTaps& taps,
                            const Normalisation& colours) const {
  const std::int64_t size = image_size();
  const at::Tensor bytes =
      at::from_blob(const_cast<std::uint8_t*>(pictures.data()), {views, size, size, 3}, at::kByte).to(device_);
  const at::Tensor x =
      normalise_pictures(bytes, rgb_triplet(colours.mean, "teacher.mean"), rgb_triplet(colours.stddev, "teacher.std"));
  const Autocast autocast(device_, compute_type(options_.precision));
  return vit_->forward(x, taps);
}

std::vector<std::vector<float>> Teacher::run(std::span<const std::uint8_t> pictures, std::uint32_t views) const {
  const std::size_t view_bytes = static_cast<std::size_t>(image_size()) * static_cast<std::size_t>(image_size()) * 3;
  if (views == 0 || views % options_.micro_batch != 0 || pictures.size() != views * view_bytes)
    throw std::logic_error("Teacher::run: views are not a multiple of the micro-batch, or images have another size");
  return with_torch_errors(kAdvice, [&] { return compute(pictures, views); });
}

std::vector<std::vector<float>> Teacher::compute(std::span<const std::uint8_t> pictures, std::uint32_t views) const {
  const std::size_t view_bytes = pictures.size() / views;
  const c10::InferenceMode inference;
  std::unique_lock<std::mutex> one_at_a_time(gpu_, std::defer_lock);
  if (!device_.is_cpu()) one_at_a_time.lock();
  const std::size_t count = (tap_options_.logits ? 1u : 0u) + taps_.features.size() + taps_.attentions.size();
  std::vector<std::vector<at::Tensor>> parts(count);
  for (std::uint32_t first = 0; first < views; first += options_.micro_batch) {
    const VitOutputs out = forward(pictures.subspan(first * view_bytes, options_.micro_batch * view_bytes),
                                   options_.micro_batch, taps_, normalisation());
    std::size_t track = 0;
    if (tap_options_.logits) parts[track++].push_back(out.logits);
    for (const at::Tensor& feature : out.features) parts[track++].push_back(feature);
    for (const at::Tensor& attention : out.attentions) parts[track++].push_back(kept_heads(attention));
  }
  std::vector<std::vector<float>> values;
  for (std::size_t track = 0; track < count; ++track) {
    values.push_back(to_vector(parts[track]));
    check_output(values.back(), views, view_values(track), what(track), options_.precision);
  }
  return values;
}

at::Tensor Teacher::kept_heads(const at::Tensor& attention) const {
  at::Tensor kept = attention;
  if (!tap_options_.attention_heads.empty()) {
    std::vector<std::int64_t> heads(tap_options_.attention_heads.begin(), tap_options_.attention_heads.end());
    kept = kept.index_select(1, at::tensor(heads, at::kLong).to(kept.device()));
  }
  return tap_options_.attention_mean ? kept.mean(1, /*keepdim=*/true) : kept;
}

std::vector<float> Teacher::logits(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                   const Normalisation* instead) const {
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
  if (views > 0)
    check_output(values, views, static_cast<std::size_t>(options_.vit.classes), "logits", options_.precision);
  return values;
}

std::size_t Teacher::view_values(std::size_t track) const {
  if (tap_options_.logits && track-- == 0) return static_cast<std::size_t>(options_.vit.classes);
  const auto side = static_cast<std::size_t>(vit_->grid());
  return (track < taps_.features.size() ? static_cast<std::size_t>(vit_->dim()) : heads_kept()) * side * side;
}

std::size_t Teacher::heads_kept() const {
  if (tap_options_.attention_mean) return 1;
  const std::size_t chosen = tap_options_.attention_heads.size();
  return chosen > 0 ? chosen : static_cast<std::size_t>(vit_->heads());
}

std::string Teacher::what(std::size_t track) const {
  if (tap_options_.logits && track-- == 0) return "logits";
  if (track < taps_.features.size()) return text("features of block ", taps_.features[track]);
  return text("attention values of block ", taps_.attentions[track - taps_.features.size()]);
}

void through_codec(const Codec& codec, std::uint32_t views, std::vector<float>& raw) {
  const std::vector<Array> arrays = codec.encode(raw, views);
  std::vector<std::span<const std::byte>> bytes;
  for (const Array& array : arrays) bytes.emplace_back(array.bytes);
  codec.decode(bytes, views, raw);
}

}  // namespace vitrine
