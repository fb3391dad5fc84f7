// vitrine-bench codec: bytes and speed of the transform encoding, compared with a baseline codec without context
// modelling (tools/commands/bench/peers/baseline_codec.py), with no transform and with int8, on a cache's fp32 features
// and on synthetic coefficients.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/base/temporary.h"
#include "common/cache/cache.h"
#include "common/cache/track.h"
#include "common/cache/writer.h"
#include "common/codec/make_codec.h"
#include "common/codec/frame.h"
#include "common/codec/transform/transform_codec.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "tools/commands/bench/command.h"
#include "tools/commands/bench/peer.h"
#include "tools/commands/bench/report.h"
#include "tools/inspect/loss_summary.h"

namespace vitrine {
namespace {

struct CodecBenchOptions {
  std::filesystem::path cache, targets, python = bench::default_python();
  double max_error = 0.01;
  std::uint32_t group = 64, most_views = 2048;
  bool curve = true, synthetic = true;
};

struct Features {
  std::string name;
  std::uint32_t views, channels, height, width;
  std::vector<float> values;
  std::size_t each() const { return std::size_t{channels} * height * width; }
};

// All fp32 feature tracks of a cache, whole groups in order.
std::vector<Features> of_cache(const CodecBenchOptions& options) {
  const Cache cache(options.cache);
  std::vector<Features> out;
  for (const TrackInfo& track : cache.tracks()) {
    if (track.kind != "features" || track.codec.encoding != Encoding::kFp32) continue;
    const TrackReader reader(cache, track);
    Features features{track.name(), 0, track.shape[0], track.shape[1], track.shape[2], {}};
    const std::uint32_t group = cache.plan().options().group;
    TrackReader::Scratch scratch;
    for (const std::uint32_t pass : reader.passes())
      for (std::uint32_t g = 0; g < cache.plan().groups_per_pass() && features.views + group <= options.most_views;
           ++g) {
        features.values.resize(features.values.size() + group * features.each());
        reader.read({pass, g}, scratch, std::span(features.values).last(group * features.each()));
        features.views += group;
      }
    if (features.views < 2 * options.group)
      fail(options.cache.string(), ": ", track.name(), " has ", features.views, " views; expected at least ",
           2 * options.group, ", extract more passes");
    out.push_back(std::move(features));
  }
  if (out.empty())
    fail(options.cache.string(),
         ": has no feature track of the encoding fp32; extract one with taps.features_encoding = \"fp32\"");
  return out;
}

// A random rotation of `n` dimensions: Gram-Schmidt orthonormalisation of rows of normal numbers.
std::vector<float> rotation(std::size_t n, std::mt19937_64& generator) {
  std::normal_distribution<double> normal;
  std::vector<double> rows(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    double* own = rows.data() + i * n;
    for (std::size_t k = 0; k < n; ++k) own[k] = normal(generator);
    for (std::size_t j = 0; j < i; ++j) {
      const double* other = rows.data() + j * n;
      const double along = std::inner_product(own, own + n, other, 0.0);
      for (std::size_t k = 0; k < n; ++k) own[k] -= along * other[k];
    }
    const double length = std::sqrt(std::inner_product(own, own + n, own, 0.0));
    for (std::size_t k = 0; k < n; ++k) own[k] /= length;
  }
  return {rows.begin(), rows.end()};
}

// Independent coefficients of 384 channels, variance 1/k^a, at 14 × 14 positions: there is no context to exploit.
Features synthetic(const std::string& distribution, double a) {
  Features out{text(distribution, ", 1/k^", a), 128, 384, 14, 14, {}};
  std::mt19937_64 generator(11);
  std::normal_distribution<float> normal;
  std::exponential_distribution<float> exponential;
  out.values.reserve(out.views * out.each());
  for (std::uint32_t v = 0; v < out.views; ++v)
    for (std::uint32_t k = 0; k < out.channels; ++k) {
      const auto deviation = static_cast<float>(std::pow(k + 1.0, -a / 2));
      for (std::uint32_t p = 0; p < out.height * out.width; ++p)
        out.values.push_back(deviation *
                             (distribution == "Gauss"
                                  ? normal(generator)
                                  : exponential(generator) * (generator() % 2 == 0 ? 0.70710678f : -0.70710678f)));
    }
  return out;
}

// The same with channels randomly rotated: what such coefficients look like before a transform, as a network's channels
// are not eigenvectors.
Features turned(const Features& features) {
  Features out = features;
  std::ranges::fill(out.values, 0.0f);
  std::mt19937_64 generator(12);
  const std::size_t channels = out.channels, positions = std::size_t{out.height} * out.width;
  const std::vector<float> turn = rotation(channels, generator);
  for (std::size_t v = 0; v < out.views; ++v)
    for (std::size_t k = 0; k < channels; ++k)
      for (std::size_t c = 0; c < channels; ++c) {
        const float share = turn[k * channels + c];
        const float* from = features.values.data() + v * out.each() + k * positions;
        float* to = out.values.data() + v * out.each() + c * positions;
        for (std::size_t p = 0; p < positions; ++p) to[p] += share * from[p];
      }
  return out;
}

// The ratio of bits between a randomly rotated Gauss source, whose channels all have the mean variance, and one with
// variances 1/k^a in its own basis: rate-distortion function by reverse water-filling (Cover & Thomas, Elements of
// Information Theory, 10.3.3).
double gauss_limit(std::size_t channels, double a, double error) {
  std::vector<double> variances;
  for (std::size_t k = 1; k <= channels; ++k) variances.push_back(std::pow(static_cast<double>(k), -a));
  const double wanted = error * std::accumulate(variances.begin(), variances.end(), 0.0);
  double low = 0, high = 1;
  for (int i = 0; i < 100; ++i) {
    const double level = (low + high) / 2;
    double made = 0;
    for (const double variance : variances) made += std::min(variance, level);
    (made < wanted ? low : high) = level;
  }
  double bits = 0;
  for (const double variance : variances) bits += std::max(0.0, std::log2(variance / low) / 2);
  return static_cast<double>(channels) * std::log2(1 / error) / 2 / bits;
}

struct Coded {
  double bytes = 0, worst = 0, encode_seconds = 0, decode_seconds = 0, about_channel_means = 0;
  std::uint32_t views = 0;
};

// Processes all groups in sequence, as a reader or writer does, several times.
double median_seconds(std::size_t groups, const std::function<void(std::size_t)>& work) {
  constexpr std::size_t kRounds = 9;
  std::vector<double> rounds;
  while (rounds.size() < kRounds) {
    const double start = thread_seconds();
    for (std::size_t g = 0; g < groups; ++g) work(g);
    rounds.push_back(thread_seconds() - start);
  }
  std::ranges::sort(rounds);
  return rounds[kRounds / 2];
}

// Calibrates on the first half of the views, codes the second in groups. `measure`: also decode, check the bound, take
// times.
Coded code(const Features& features, double max_error, std::uint32_t group, bool measure) {
  const std::size_t each = features.each(), positions = std::size_t{features.height} * features.width;
  const std::uint32_t half = features.views / 2;
  Calibrator calibrator(features.channels, features.height, features.width);
  calibrator.add(std::span(features.values).first(half * each), half);
  const auto basis = std::make_shared<const FeatureBasis>(calibrator.finish(max_error, group));
  const TransformCodec codec(basis, max_error);
  std::vector<double> channel_means(features.channels);
  for (std::size_t i = 0; i < half * each; ++i)
    channel_means[i % each / positions] +=
        static_cast<double>(features.values[i]) / static_cast<double>(half * positions);
  Coded out;
  double errors = 0, energies = 0;
  std::vector<float> coefficients(group * each), back(group * each);
  std::vector<std::vector<std::byte>> payloads;
  std::vector<std::vector<float>> inputs;
  for (std::uint32_t first = half; first + group <= features.views; first += group) {
    const auto values = std::span(features.values).subspan(first * each, group * each);
    std::vector<std::byte> payload = codec.encode(values, group)[0].bytes;
    out.bytes += static_cast<double>(compress_frame(payload, 1).size());  // as stored
    out.views += group;
    if (!measure) continue;
    const std::span<const std::byte> array(payload);
    codec.decode({&array, 1}, group, back);
    double error = 0, energy = 0;
    for (std::size_t i = 0; i < back.size(); ++i) {
      const double x = values[i], off = static_cast<double>(back[i]) - x,
                   centred = x - static_cast<double>(basis->mean[i % each]);
      error += off * off;
      energy += centred * centred;
      energies += std::pow(x - channel_means[i % each / positions], 2);
    }
    errors += error;
    out.worst = std::max(out.worst, error / energy);
    payloads.push_back(std::move(payload));
    // Precomputed coefficients, so that the matrix product is not timed.
    inputs.emplace_back(group * each);
    transform_coefficients(*basis, values, group, inputs.back());
  }
  out.decode_seconds = median_seconds(
      payloads.size(), [&](std::size_t g) { codec.decode_coefficients(payloads[g], group, coefficients); });
  out.encode_seconds =
      median_seconds(inputs.size(), [&](std::size_t g) { (void)codec.encode_coefficients(inputs[g], group); });
  out.about_channel_means = measure ? errors / energies : 0;
  out.bytes /= out.views;
  return out;
}

double int8_bytes(const Features& features, std::uint32_t group) {
  double bytes = 0;
  std::uint32_t views = 0;
  CodecSettings settings;
  settings.encoding = Encoding::kInt8;
  const auto codec = make_codec(settings, {features.channels, features.height, features.width});
  for (std::uint32_t first = features.views / 2; first + group <= features.views; first += group, views += group)
    for (const Array& array :
         codec->encode(std::span(features.values).subspan(first * features.each(), group * features.each()), group))
      bytes += static_cast<double>(compress_frame(array.bytes, 1).size());
  return bytes / views;
}

// The baseline codec's bytes per view, by variant, or only of variant `only`.
nlohmann::json baseline_bytes(const Features& features, const CodecBenchOptions& options,
                              const std::string& only = {}) {
  const TemporaryDirectory place;
  const std::string name = (place.path() / "features.npy").string();
  std::string header = text("{'descr': '<f4', 'fortran_order': False, 'shape': (", features.views, ", ",
                            features.channels, ", ", features.height, ", ", features.width, "), }");
  header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  {
    std::ofstream file(name, std::ios::binary);
    const auto length = static_cast<std::uint16_t>(header.size());
    file.write("\x93NUMPY\x01\x00", 8).write(reinterpret_cast<const char*>(&length), 2) << header;
    file.write(reinterpret_cast<const char*>(features.values.data()),
               static_cast<std::streamsize>(features.values.size() * sizeof(float)));
    if (!file) fail(name, ": cannot be written; is the disk full?");
  }
  const auto answer =
      bench::ask_peer(options.python, "baseline_codec.py",
                      text("'", name, "' --error ", options.max_error, only.empty() ? "" : " --only '" + only + "'"));
  if (!answer)
    fail("tools/commands/bench/peers/baseline_codec.py failed; does ", options.python.string(),
         " have numpy and zstandard?");
  return *answer;
}

std::string times(double ratio) {
  return text(std::lround(100 * ratio) / 100.0, " x");
}

// `plain`: the features as seen by codecs without a transform. `limit`: the theoretical ratio of bytes without and with
// a transform for a Gauss source, 0 if unknown.
void compare(const Features& features, const Features& plain, double limit, const CodecBenchOptions& options) {
  const Coded coded = code(features, options.max_error, options.group, true);
  const nlohmann::json baseline = baseline_bytes(features, options);
  const std::string none = "no transform";
  std::string best = none;
  for (const auto& [name, bytes] : baseline.items())
    if (bytes.get<double>() < baseline[best].get<double>()) best = name;
  const bool apart = &features != &plain;
  const double values = static_cast<double>(features.each()) * coded.views;
  const double plain_bytes = apart ? baseline_bytes(plain, options, none)[none] : baseline[none],
               int8 = int8_bytes(plain, options.group);
  const std::string as = apart ? "rotated, " : "",
                    allowed = limit > 0 ? text("; a Gauss source allows ", times(limit)) : "";
  print_report(
      text(features.name, ": ", features.views, " views of ", features.channels, " x ", features.height, " x ",
           features.width, ", groups of ", options.group, ", error at most ", in_percent(options.max_error),
           " in every group"),
      {{"bytes per view", figure(coded.bytes), text(best, " ", figure(baseline[best])),
        in_percent(coded.bytes / baseline[best].get<double>()), "<= 100 %, goal 90 %"},
       {"fewer than without a transform", figure(coded.bytes), text(as, "same error ", figure(plain_bytes)),
        times(plain_bytes / coded.bytes), ">= 2.5 x" + allowed},
       {"fewer than int8 + zstd", figure(coded.bytes), text(as, "int8 ", figure(int8)), times(int8 / coded.bytes),
        ">= 5 x"},
       {"worst group's error", in_percent(coded.worst), text("bound ", in_percent(options.max_error)),
        in_percent(coded.worst / options.max_error), "<= 100 %"},
       {"error about channel means", text(std::setprecision(4), 100 * coded.about_channel_means, " %"),
        text("the baseline's ", in_percent(options.max_error)), "", ""},
       {"decoding, million values per core-second", figure(values / coded.decode_seconds / 1e6), "", "", ">= 500"},
       {"encoding without GEMM, million values per core-second", figure(values / coded.encode_seconds / 1e6), "", "",
        ">= 150"}});
}

void curve(const Features& features, const CodecBenchOptions& options) {
  std::cout << features.name << ": bytes per view by error bound\n ";
  for (const double bound : {0.001, 0.003, 0.01, 0.03, 0.1})
    std::cout << ' ' << in_percent(bound) << ": " << std::lround(code(features, bound, options.group, false).bytes)
              << std::flush;
  std::cout << "\n\n";
}

// Size on disk of a cache of all targets, and the loss of its logits as recorded in its shards.
void whole_cache(const std::filesystem::path& directory) {
  const Cache cache(directory);
  double a_view = 0, bases = 0;
  std::uint64_t most_views = 0;
  std::string kept;
  nlohmann::ordered_json logits;
  for (const TrackInfo& track : cache.tracks()) {
    const TrackReader reader(cache, track);
    const std::uint64_t views = reader.stored_views();
    if (views == 0) continue;
    a_view += static_cast<double>(reader.stored_bytes()) / static_cast<double>(views);
    if (track.codec.encoding == Encoding::kTransform)
      bases += static_cast<double>(file_bytes(directory / basis_path(track))) / static_cast<double>(views);
    most_views = std::max(most_views, views);
    kept += text(kept.empty() ? "" : ", ", track.name(), " as ", encoding_name(track.codec.encoding));
    if (track.kind != "logits") continue;
    LossSummary summary;
    for (const std::uint64_t number : reader.shard_directory().numbers()) {
      const ShardNotes notes = read_notes(Container(reader.shard_directory().directory() / shard_file_name(number)));
      if (!notes.loss.empty())
        summary.add(nlohmann::ordered_json::parse(notes.loss), cache.plan().layout().span_of(number).groups);
    }
    logits = summary.json();
  }
  if (most_views == 0) fail(directory.string(), ": has no shard of any track; extract some passes first");
  const std::vector<ImageEntry>& images = cache.index().images;
  double files = 0;
  for (const ImageEntry& image : images) files += static_cast<double>(image.file_bytes);
  const double a_file = files / static_cast<double>(images.size());
  std::vector<ReportLine> lines{
      {"bytes per view on the disk, shards whole", figure(a_view), "an image's file: " + figure(a_file),
       in_percent(a_view / a_file), "<= 20 %"},
      {"and its share of the bases", figure(bases), text("over ", human_count(most_views), " views"), "", ""}};
  if (logits.contains("kl_4"))
    lines.push_back({"mean KL of the logits at temperature 4", text(std::setprecision(2), logits["kl_4"].get<double>()),
                     "limit: 1e-4", in_percent(logits["kl_4"].get<double>() / 1e-4), "<= 100 %"});
  print_report(text(directory.string(), ": ", kept), lines);
}

int run_codec(const CodecBenchOptions& options) {
  if (!options.targets.empty()) whole_cache(options.targets);
  std::vector<Features> all;
  if (!options.cache.empty()) all = of_cache(options);
  for (const Features& features : all) compare(features, features, 0, options);
  if (options.synthetic)
    for (const auto& [distribution, a] : {std::pair{"Laplace", 1.6}, {"Laplace", 1.0}, {"Gauss", 1.6}}) {
      const Features coefficients = synthetic(distribution, a);
      compare(coefficients, turned(coefficients), gauss_limit(coefficients.channels, a, options.max_error), options);
    }
  if (options.curve)
    for (const Features& features : all) curve(features, options);
  return 0;
}

}  // namespace

void add_codec(CommandLine& line, std::function<int()>& chosen) {
  const auto options = std::make_shared<CodecBenchOptions>();
  CommandLine& codec =
      line.add_subcommand("codec", "bytes and speed of the transform encoding compared with codecs without it");
  codec.add_option("--cache", options->cache, "a cache with fp32 feature tracks");
  codec.add_option(
      "--targets", options->targets,
      "a cache of all targets: its size per view compared with the image files, and the loss of its logits");
  codec.add_option("--max-error", options->max_error, "the bound, a share of the centred energy").show_default();
  codec.add_option("--group", options->group, "views coded together").show_default().range(1u, 4096u);
  codec.add_option("--views", options->most_views, "maximum number of views per track").show_default();
  codec.add_option("--curve", options->curve, "also bytes by bound").show_default();
  codec.add_option("--synthetic", options->synthetic, "also independent coefficients of 384 x 14 x 14").show_default();
  codec.add_option("--python", options->python, "with numpy and zstandard").show_default();
  codec.callback([&chosen, options] { chosen = [options] { return run_codec(*options); }; });
}

}  // namespace vitrine
