// vitrine-bench extract: the core time of each stage of extraction alone and of the whole, compared with the same job
// in Python (peers/extract_peer.py).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/temporary.h"
#include "common/cache/writer.h"
#include "common/codec/make_codec.h"
#include "common/image/scan.h"
#include "common/image/views.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "common/teacher/calibrate.h"
#include "common/teacher/teacher.h"
#include "extract/run/encode.h"
#include "extract/run/extractor.h"
#include "tools/commands/bench/command.h"
#include "tools/commands/bench/peer.h"
#include "tools/commands/bench/report.h"

namespace vitrine {
namespace {

struct ExtractBenchOptions {
  std::vector<std::string> archs = {"vit_tiny_patch16_224", "vit_base_patch16_224"};
  std::filesystem::path images, python = bench::default_python();
  std::uint32_t views = 64, rounds = 3;
  std::vector<std::uint32_t> micro_batches = {16};
  bool quick = false;
};

constexpr std::uint32_t kExtractGroup = 32;  // of views, or the micro-batch where that is larger
constexpr std::uint64_t kSeed = 1;

/// Core milliseconds per view.
struct StageTimes {
  double decode, forward, encode, write, whole, bare;
  double sum() const { return decode + forward + encode + write; }
  double all_but_forward() const { return decode + encode + write; }
};

Vit random_vit(const std::string& arch) {
  at::manual_seed(kSeed);
  Vit vit(VitOptions{.arch = arch});
  vit->eval();
  return vit;
}

TeacherOptions random_teacher(const std::string& arch, const std::filesystem::path& folder, std::uint32_t micro_batch) {
  TeacherOptions out;
  out.arch = arch;
  out.weights = (folder / (arch + ".safetensors")).string();
  out.precision = "bf16";
  out.micro_batch = micro_batch;
  out.mean = out.stddev = {0.5, 0.5, 0.5};
  save_safetensors(out.weights, state_dict(*random_vit(arch)));
  return out;
}

/// What vitrine-extract keeps by default of one block: logits, features and the mean attention.
TapOptions usual_taps() {
  TapOptions out;
  out.features = out.attention = {-1};
  out.attention_mean = true;
  return out;
}

PlanOptions usual_plan(int size, std::uint32_t micro_batch) {
  PlanOptions out;
  out.seed = kSeed;
  out.group = std::max(kExtractGroup, micro_batch);
  out.image_size = static_cast<std::uint32_t>(size);
  return out;
}

/// The first images of a folder, as many as there are views.
std::shared_ptr<const ImageIndex> first_images(const ImageFolders& folders, std::uint32_t views) {
  auto index = std::make_shared<ImageIndex>(scan_images(folders, {}).index);
  if (index->images.size() > views) index->images.resize(views);
  return index;
}

/// Each function does one stage for all views on the calling thread, from what the one before left.
class StagedExtraction {
 public:
  StagedExtraction(const std::string& arch, std::uint32_t micro_batch, const ExtractBenchOptions& options)
      : micro_batch_(micro_batch),
        folders_(options.images.string(), "", Labels::kNone),
        teacher_(random_teacher(arch, root_.path(), micro_batch), usual_taps()),
        index_(first_images(folders_, options.views)),
        plan_(index_, usual_plan(teacher_.image_size(), micro_batch)),
        views_(folders_, index_, plan_.options().image_size),
        bare_(random_vit(arch)),
        input_(at::randn({micro_batch, 3, teacher_.image_size(), teacher_.image_size()})) {
    const std::vector<TrackInfo> tracks = teacher_.tracks(plan_);
    ready_ = make_ready(teacher_, views_, plan_, tracks,
                        std::vector<std::shared_ptr<const FeatureBasis>>(tracks.size()), options.views, 1);
    for (std::size_t t = 0; t < tracks.size(); ++t)
      encoders_.emplace_back(ready_.tracks[t], *ready_.codecs[t], ready_.bases[t].get());
    bare_->freeze(fastest_product_type(at::kBFloat16, at::kCPU));
    pictures_.resize(groups());
    values_.resize(groups());
    encoded_.resize(groups());
    hashes_.resize(groups());
  }

  std::uint32_t groups() const { return plan_.groups_per_pass(); }
  std::uint32_t views() const { return groups() * plan_.options().group; }

  void decode() {
    for (std::uint32_t g = 0; g < groups(); ++g) {
      std::vector<Recipe> recipes = plan_.group(0, g);
      pictures_[g] = views_.group_or_mark(recipes, teacher_.image_size());
      hashes_[g] = hash_of_group(recipes, g, pictures_[g]);
    }
  }
  void forward() {
    for (std::uint32_t g = 0; g < groups(); ++g) values_[g] = teacher_.run(pictures_[g], plan_.options().group);
  }
  void encode() {
    for (std::uint32_t g = 0; g < groups(); ++g) {
      encoded_[g].clear();
      for (std::size_t t = 0; t < encoders_.size(); ++t)
        encoded_[g].push_back(encoders_[t].encode(values_[g][t], plan_.options().group).arrays);
    }
  }
  void write(const std::filesystem::path& cache) {
    for (std::size_t t = 0; t < ready_.tracks.size(); ++t) {
      ShardDraft draft(ready_.tracks[t], plan_, 0, 0, ready_.codecs[t]->layout());
      for (std::uint32_t g = 0; g < groups(); ++g) draft.set(g, std::move(encoded_[g][t]));
      for (std::uint32_t g = 0; g < groups(); ++g) draft.compress(g);
      draft.publish(cache, {});
    }
    write_recipes(cache, plan_, 0, 0, hashes_);
  }
  /// All of it, as vitrine-extract does it with one worker.
  void whole(const std::filesystem::path& cache) const {
    ReadyTracks ready{ready_.tracks, ready_.bases, {}};
    for (std::size_t t = 0; t < ready.tracks.size(); ++t)
      ready.codecs.push_back(make_codec(ready.tracks[t].codec, ready.tracks[t].shape, ready.bases[t]));
    const Extractor extractor(cache, plan_, &teacher_, views_, std::move(ready), {}, 1);
    extractor.run(std::vector{ShardKey{0, 0}}, never_stop());
  }
  /// As many micro-batches through the network alone, without taps.
  void bare_forward() {
    const c10::InferenceMode inference;
    for (std::uint32_t first = 0; first < views(); first += micro_batch_) bare_->forward(input_);
  }

  /// A new directory for a cache of these tracks.
  std::filesystem::path new_cache() {
    const std::filesystem::path cache = root_ / std::to_string(caches_++);
    create_cache(cache, *index_, plan_);
    for (std::size_t t = 0; t < ready_.tracks.size(); ++t) create_track(cache, ready_.tracks[t], ready_.bases[t].get());
    return cache;
  }

 private:
  std::uint32_t micro_batch_;
  TemporaryDirectory root_;
  ImageFolders folders_;
  Teacher teacher_;
  std::shared_ptr<const ImageIndex> index_;
  Plan plan_;
  ViewMaker views_;
  Vit bare_;
  at::Tensor input_;
  ReadyTracks ready_;
  std::vector<GroupEncoder> encoders_;
  std::vector<std::vector<std::uint8_t>> pictures_;
  std::vector<std::vector<std::vector<float>>> values_;
  std::vector<std::vector<std::vector<Array>>> encoded_;  ///< [group][track]
  std::vector<std::uint64_t> hashes_;
  int caches_ = 0;
};

/// The stages in turn, `rounds` times after a warm-up; of each the fastest counts.
StageTimes measure_stages(StagedExtraction& extraction, std::uint32_t rounds) {
  const double never = std::numeric_limits<double>::infinity();
  StageTimes best{never, never, never, never, never, never};
  for (std::uint32_t round = 0; round <= rounds; ++round) {
    const auto time = [&](double& figure, double views, const auto& stage) {
      const double start = process_seconds();
      stage();
      if (round > 0) figure = std::min(figure, 1e3 * (process_seconds() - start) / views);
    };
    const std::filesystem::path staged = extraction.new_cache(), whole = extraction.new_cache();
    const double views = extraction.views();
    time(best.decode, views, [&] { extraction.decode(); });
    time(best.forward, views, [&] { extraction.forward(); });
    time(best.encode, views, [&] { extraction.encode(); });
    time(best.write, views, [&] { extraction.write(staged); });
    time(best.whole, views, [&] { extraction.whole(whole); });
    time(best.bare, views, [&] { extraction.bare_forward(); });
  }
  return best;
}

std::string core_time(double value) {
  return figure(value) + " core-ms/view";
}

void add_peer(const StageTimes& ours, const nlohmann::json& peer, std::vector<ReportLine>& lines) {
  const auto of = [&](const char* key) { return peer.contains(key) ? peer.at(key).get<double>() : 0.0; };
  const auto add = [&](const std::string& what, double own, const std::string& against, double other,
                       const std::string& bar = "") {
    if (other > 0)
      lines.push_back({what, core_time(own), text(against, " ", core_time(other)), in_percent(own / other), bar});
  };
  add("decode, crop, mix", ours.decode, "torchvision", of("decode"));
  add("forward with targets", ours.forward, "timm, autocast", of("forward"));
  add("encode and write", ours.encode + ours.write, "fp16 arrays", of("write"));
  add("encode and write", ours.encode + ours.write, "int8, Zstandard", of("compress"));
  add("all but the forward", ours.all_but_forward(), "peer, fp16 arrays", of("decode") + of("write"));
  if (of("compress") > 0)
    add("all but the forward", ours.all_but_forward(), "peer, compressed", of("decode") + of("compress"), "<= 60 %");
  add("whole", ours.whole, "peer", of("whole"));
  const auto add_forward = [&](const std::string& name, double other, const std::string& bar = "") {
    if (other > 0)
      lines.push_back({"bare forward", core_time(ours.bare), text(name, " ", core_time(other)),
                       figure(other / ours.bare) + " x as fast", bar});
  };
  const auto better = [&](const char* a, const char* b) {
    return of(a) == 0 || (of(b) > 0 && of(b) < of(a)) ? of(b) : of(a);
  };
  add_forward("timm eager, BF16", of("eager"), ">= 1.3 x");
  add_forward("timm compiled, BF16", of("compiled"));
  add_forward("OpenVINO, BF16", of("openvino"));
  add_forward("the better of these two", better("compiled", "openvino"), ">= 0.95 x");
  add_forward("timm eager, FP32", of("eager_fp32"));
  add_forward("timm compiled, FP32", of("compiled_fp32"));
  add_forward("OpenVINO, FP32", of("openvino_fp32"));
}

StageTimes measure_extraction_of(const std::string& arch, std::uint32_t micro_batch,
                                 const ExtractBenchOptions& options) {
  const TemporaryDirectory peers_files;
  StagedExtraction extraction(arch, micro_batch, options);
  const StageTimes ours = measure_stages(extraction, options.rounds);
  std::vector<ReportLine> lines{{"decode, crop, mix", core_time(ours.decode), ""},
                                {"forward with targets", core_time(ours.forward), ""},
                                {"encode", core_time(ours.encode), ""},
                                {"write", core_time(ours.write), ""},
                                {"whole", core_time(ours.whole), text("sum of the stages ", core_time(ours.sum())),
                                 in_percent(ours.whole / ours.sum()), "<= 103 %"}};
  const auto peer =
      bench::ask_peer(options.python, "extract_peer.py",
                      text(arch, " '", options.images.string(), "' ", extraction.views(), ' ', micro_batch, ' ',
                           options.rounds, " '", peers_files.path().string(), "'", options.quick ? " --quick" : ""));
  if (peer) add_peer(ours, *peer, lines);
  const bool as_fp32 = fastest_product_type(at::kBFloat16, at::kCPU) == at::kFloat;
  print_report(text(arch, " in BF16", as_fp32 ? " (products in FP32, which this processor multiplies faster)" : "",
                    ", ", extraction.views(), " views, micro-batches of ", micro_batch, ", one core:"),
               lines);
  return ours;
}

// Several micro-batches end with a row for each.
void measure_micro_batches(const std::string& arch, const ExtractBenchOptions& options) {
  std::vector<ReportLine> rows;
  for (const std::uint32_t micro_batch : options.micro_batches) {
    const StageTimes times = measure_extraction_of(arch, micro_batch, options);
    rows.push_back({text("micro-batch ", micro_batch), core_time(times.whole),
                    text("of which the forward ", core_time(times.forward))});
  }
  if (rows.size() > 1) print_report(arch + ", the whole by micro-batch:", rows);
}

void check_micro_batches(const std::vector<std::uint32_t>& micro_batches) {
  for (const std::uint32_t one : micro_batches)
    if (kExtractGroup % one != 0 && one % kExtractGroup != 0)
      fail("--micro-batch ", one, " is not allowed; expected 1, 2, 4, 8, 16 or a multiple of ", kExtractGroup);
}

}  // namespace

void add_extract(CommandLine& line, std::function<int()>& chosen) {
  CommandLine& command =
      line.add_subcommand("extract", "each stage of extraction alone and the whole, compared with PyTorch's");
  const auto options = std::make_shared<ExtractBenchOptions>();
  command.add_option("--images", options->images, "a folder of photos, flat or nested").required().existing_directory();
  command.add_option("--arch", options->archs, "architectures: vit_{tiny,small,base,large}_patch{8,14,16,32}_SIZE")
      .show_default();
  command.add_option("--views", options->views, "about how many views, of as many photos")
      .show_default()
      .range(1, 65536);
  command.add_option("--micro-batch", options->micro_batches, "views of a forward; several end with a row for each")
      .show_default()
      .range(1, 1024);
  command.add_option("--rounds", options->rounds, "of which the fastest counts, for each stage")
      .show_default()
      .range(1, 1000);
  command.add_option("--python", options->python, "with torch, torchvision and timm; openvino is used if installed")
      .show_default();
  command.add_flag("--quick", options->quick, "without timm compiled by inductor, which takes minutes");
  command.callback([options, &chosen] {
    chosen = [options] {
      keep_freed_memory();
      at::set_num_threads(1);
      check_micro_batches(options->micro_batches);
      for (const std::string& arch : options->archs) measure_micro_batches(arch, *options);
      return 0;
    };
  });
}

}  // namespace vitrine
