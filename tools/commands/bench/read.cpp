#include <malloc.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/base/temporary.h"
#include "common/cache/cache.h"
#include "tools/commands/bench/command.h"
#include "tools/commands/bench/peer.h"
#include "tools/commands/bench/report.h"
#include "tools/commands/bench/targets.h"

namespace vitrine {
namespace {

constexpr std::uint32_t kReadGroup = 64;

struct ReadBenchOptions {
  std::filesystem::path cache;      // empty: create one
  std::filesystem::path directory;  // empty: a temporary one
  std::uint32_t groups = 16, passes = 20, rounds = 7, shards = 10000, shard_groups = 64;
  std::filesystem::path python = bench::default_python();
};

// The user's directory, or a temporary one that is removed at the end.
class Workplace {
 public:
  explicit Workplace(const std::filesystem::path& wanted) : path_(wanted) {
    if (wanted.empty()) path_ = own_.emplace().path();
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::optional<TemporaryDirectory> own_;
  std::filesystem::path path_;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// How features in the transform encoding are read.
enum class FeaturesAs { kMaps, kCoefficients };

// All tracks of a cache, with the buffers that a trainer would own.
class Reading {
 public:
  explicit Reading(const Cache& cache, FeaturesAs features = FeaturesAs::kMaps)
      : groups_(cache.plan().groups_per_pass()), features_(features) {
    for (const TrackInfo& track : cache.tracks()) {
      readers_.push_back(std::make_unique<const TrackReader>(cache, track));
      values_.push_back(track.view_values() * cache.plan().options().group);
      out_.emplace_back();
    }
  }
  void pass(std::uint32_t pass) {
    for (std::uint32_t g = 0; g < groups_; ++g)
      for (std::size_t i = 0; i < readers_.size(); ++i) {
        const GroupKey key{pass, g * 5 % groups_};
        const std::span<float> out = out_[i].numbers<float>(values_[i]);
        if (features_ == FeaturesAs::kCoefficients)
          readers_[i]->read_in_own_basis(key, scratch_, out);
        else
          readers_[i]->read(key, scratch_, out);
      }
  }

 private:
  std::uint32_t groups_;
  FeaturesAs features_;
  std::vector<std::unique_ptr<const TrackReader>> readers_;
  std::vector<std::size_t> values_;
  std::vector<Buffer> out_;
  TrackReader::Scratch scratch_;
};

// The stored frames of pass 0 in memory, to measure the limit: decompression by zstd alone.
class Frames {
 public:
  explicit Frames(const Cache& cache) : context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
    const Plan& plan = cache.plan();
    for (const TrackInfo& track : cache.tracks())
      for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard) {
        const std::filesystem::path path = cache.directory() / track.directory() / shard_file_name(shard);
        const Container container(path);
        const ReadableFile file(path);
        for (std::size_t d = 0; d < container.datasets().size(); ++d)
          for (std::uint64_t c = 0; c < container.datasets()[d].chunk_count; ++c) {
            const Container::Place place = container.place(d, c);
            frames_.emplace_back(place.bytes);
            file.read(place.offset, frames_.back());
            largest_ = std::max<std::size_t>(largest_, container.datasets()[d].chunk_bytes());
            stored_bytes_ += static_cast<double>(place.bytes);
            raw_bytes_ += static_cast<double>(container.datasets()[d].chunk_bytes());
          }
      }
  }
  void decompress() {
    const std::span<std::byte> raw = raw_.first(largest_);
    for (const std::vector<std::byte>& frame : frames_)
      if (ZSTD_isError(ZSTD_decompressDCtx(context_.get(), raw.data(), raw.size(), frame.data(), frame.size())))
        fail("a frame that was just written cannot be decompressed");
  }
  double stored_bytes() const { return stored_bytes_; }
  double raw_bytes() const { return raw_bytes_; }

 private:
  std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context_;
  std::vector<std::vector<std::byte>> frames_;
  Buffer raw_;
  std::size_t largest_ = 0;
  double stored_bytes_ = 0, raw_bytes_ = 0;
};

double thread_seconds_of(const std::function<void()>& work) {
  const double start = thread_seconds();
  work();
  return thread_seconds() - start;
}

// Results of tools/commands/bench/peers/read_peer.py on the same values in its own file.
nlohmann::json ask_peer(const ReadBenchOptions& options, const std::filesystem::path& directory, const Plan& plan) {
  make_directories(directory);
  for (const TrackInfo& track : bench::vit_tiny_tracks(plan)) {
    std::ofstream out(directory / (track.kind + ".f32"), std::ios::binary);
    for (std::uint32_t g = 0; g < plan.groups_per_pass(); ++g) {
      const std::vector<float> values = bench::vit_tiny_values(track, kReadGroup, g);
      out.write(reinterpret_cast<const char*>(values.data()),
                static_cast<std::streamsize>(values.size() * sizeof(float)));
    }
    if (!out.flush()) fail(directory.string(), ": cannot be written; check that the disk has room");
  }
  return bench::ask_peer(options.python, "read_peer.py", text("'", directory.string(), "' --rounds ", options.rounds))
      .value_or(nlohmann::json());
}

struct Rate {
  double views, zstd_alone;  // per core-second
  double coefficients;       // the same, read as coefficients; 0 if no track has a basis
  double bytes;              // of frames per view
  double raw_rate, zstd_raw_rate;
};

Rate measure_rate(const ReadBenchOptions& options, const Cache& cache) {
  const double views = static_cast<double>(cache.plan().groups_per_pass()) * cache.plan().options().group;
  Reading reading(cache), coefficients(cache, FeaturesAs::kCoefficients);
  Frames frames(cache);
  const bool transformed = std::ranges::any_of(
      cache.tracks(), [](const TrackInfo& track) { return track.codec.encoding == Encoding::kTransform; });
  reading.pass(0), frames.decompress();
  if (transformed) coefficients.pass(0);
  std::vector<double> ours, student, zstd;
  for (std::uint32_t round = 0; round < options.rounds; ++round) {
    ours.push_back(thread_seconds_of([&] { reading.pass(0); }));
    if (transformed) student.push_back(thread_seconds_of([&] { coefficients.pass(0); }));
    zstd.push_back(thread_seconds_of([&] { frames.decompress(); }));
  }
  return {views / median(ours),
          views / median(zstd),
          transformed ? views / median(student) : 0,
          frames.stored_bytes() / views,
          frames.raw_bytes() / median(ours) / 1e6,
          frames.raw_bytes() / median(zstd) / 1e6};
}

// The student uses coefficients, so the product that gives maps is not needed.
ReportLine to_coefficients(const Rate& rate) {
  return {"views per core-second, as the student's workers read them", figure(rate.coefficients),
          "to maps: " + figure(rate.views), figure(rate.coefficients / rate.views) + " x"};
}

ReportLine against_zstd(const Rate& rate, const std::string& what, const char* bar) {
  return {what, figure(rate.views), "zstd alone: " + figure(rate.zstd_alone), in_percent(rate.views / rate.zstd_alone),
          bar};
}

// Adds the rates of the same values stored at zstd levels 1 and -1, and of the Python readers.
void add_rates(const ReadBenchOptions& options, const Plan& plan, const std::filesystem::path& place, const Rate& coded,
               const Rate& plain, const Rate& usual, std::vector<ReportLine>& lines) {
  const nlohmann::json peer = ask_peer(options, place / "peer", plan);
  const double views = static_cast<double>(plan.groups_per_pass()) * plan.options().group;
  const auto against_peer = [&](const Rate& rate, const char* way, const char* words, const char* bar) {
    if (!peer.is_object())
      return lines.push_back({"the same", figure(rate.views), text(words, "did not run"), "", bar});
    const double peer_rate = views / median(peer.at(way).get<std::vector<double>>());
    lines.push_back(
        {"the same", figure(rate.views), words + figure(peer_rate), figure(rate.views / peer_rate) + " x", bar});
  };
  lines.push_back(against_zstd(coded, "views per core-second, to floats; level 1", ">= 80 %"));
  against_peer(coded, "usual", "h5py + hdf5plugin + torch: ", ">= 6 x");
  against_peer(coded, "reused", "the same, no new arrays: ", "");
  lines.push_back(against_zstd(plain, "views per core-second, to floats; level -1", ""));
  against_peer(plain, "usual", "h5py + hdf5plugin + torch: ", ">= 6 x");
  against_peer(plain, "reused", "the same, no new arrays: ", "");
  against_peer(plain, "plain", "the same, uncompressed: ", "");
  lines.push_back({"views per core-second, to floats; the default encodings", figure(usual.views), ""});
  against_peer(usual, "usual", "h5py + hdf5plugin + torch: ", "");
  lines.push_back(to_coefficients(usual));
  lines.push_back({"bytes per view, level 1", figure(coded.bytes),
                   peer.is_object() ? "h5py: " + figure(peer.at("bytes").get<double>() / views) : ""});
  lines.push_back({"bytes per view, level -1", figure(plain.bytes), ""});
  lines.push_back({"bytes per view, the default encodings", figure(usual.bytes), ""});
}

void measure_memory(const ReadBenchOptions& options, const Cache& cache, std::vector<ReportLine>& lines) {
  Reading reading(cache);
  reading.pass(0);
  const double once = resident_bytes();
  for (std::uint32_t pass = 1; pass < options.passes; ++pass) reading.pass(pass);
  const double often = resident_bytes();
  lines.push_back({text("resident memory after a cache ", options.passes, " times as large"), human_bytes(often),
                   "after 1 time: " + human_bytes(once), in_percent(often / once), "~ 100 %"});
}

void measure_opening(const ReadBenchOptions& options, const std::filesystem::path& directory,
                     std::vector<ReportLine>& lines) {
  const TrackInfo track = bench::write_many_shards(directory, options.shards, options.shard_groups);
  const Cache cache(directory);
  const auto heap = [] {
    const struct mallinfo2 info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
  };
  const double before = heap();
  const auto start = std::chrono::steady_clock::now();
  const TrackReader reader(cache, track);
  for (const std::uint64_t number : reader.shard_directory().numbers()) reader.shard_directory().open(number);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double groups = static_cast<double>(options.shards) * options.shard_groups;
  lines.push_back(
      {text("seconds to open ", counted(options.shards, "shard"), " of ", counted(options.shard_groups, "group")),
       figure(seconds), "limit: " + figure(2e-4 * options.shards), in_percent(seconds / (2e-4 * options.shards)),
       "<= 100 %"});
  lines.push_back({"bytes of memory per group", figure((heap() - before) / groups), "limit: 200",
                   in_percent((heap() - before) / groups / 200), "<= 100 %"});
}

int run_read(const ReadBenchOptions& options) {
  if (options.rounds == 0 || options.groups == 0 || options.passes == 0)
    fail("--rounds, --groups and --passes must be at least 1");
  if (!options.cache.empty()) {
    const Cache cache(options.cache);
    const Rate rate = measure_rate(options, cache);
    std::string tracks;
    for (const TrackInfo& track : cache.tracks())
      tracks += text(tracks.empty() ? "" : ", ", track.name(), " as ", encoding_name(track.codec.encoding));
    const bool transformed = rate.coefficients > 0;
    // Entropy-coded data does not compress further, so zstd alone is no limit.
    std::vector<ReportLine> lines{against_zstd(rate, "views per core-second, to floats", transformed ? "" : ">= 80 %")};
    if (transformed) lines.push_back(to_coefficients(rate));
    lines.push_back({"bytes per view", figure(rate.bytes), ""});
    lines.push_back(
        {"decompressed MB per core-second", figure(rate.raw_rate), "zstd alone: " + figure(rate.zstd_raw_rate)});
    print_report(text("Reading pass 0 of ", options.cache.string(), " (", tracks, "), one core, median of ",
                      options.rounds, " rounds"),
                 lines);
    return 0;
  }
  const Workplace place(options.directory);
  std::vector<ReportLine> lines;
  const Plan plan = bench::make_plan(options.groups, kReadGroup, std::min(options.groups, 16u));
  bench::write_vit_tiny_cache(place.path() / "plain", plan, 1, -1);
  bench::write_vit_tiny_cache(place.path() / "cache", plan, options.passes, 1);
  bench::write_vit_tiny_cache(place.path() / "usual", plan, 1, 1, true);
  {
    const Cache cache(place.path() / "cache");
    add_rates(options, plan, place.path(), measure_rate(options, cache),
              measure_rate(options, Cache(place.path() / "plain")),
              measure_rate(options, Cache(place.path() / "usual")), lines);
    measure_memory(options, cache, lines);
  }
  if (options.shards > 0) measure_opening(options, place.path() / "many", lines);
  print_report(
      text("Reading ", options.groups * kReadGroup,
           " views of a ViT-Tiny's targets (logits 1000 as fp16, features 192 x 14 x 14 as int8, attention 3 x 14 x "
           "14 as sqrt8; default: uniform, transform at 1 %, sqrt8), one core, files in the page cache, median of ",
           options.rounds, " rounds"),
      lines);
  return 0;
}

}  // namespace

void add_read(CommandLine& line, std::function<int()>& chosen) {
  const auto options = std::make_shared<ReadBenchOptions>();
  CommandLine& read = line.add_subcommand("read", "Compares the reader with zstd alone and with h5py and hdf5plugin.");
  read.add_option("--cache", options->cache, "only compare reading this cache's pass 0 with zstd alone");
  read.add_option("--directory", options->directory,
                  "where to create the caches, which are kept; default: a temporary directory");
  read.add_option("--groups", options->groups, "groups of 64 views").show_default();
  read.add_option("--passes", options->passes, "size of the larger cache relative to the smaller one").show_default();
  read.add_option("--rounds", options->rounds, "of each measurement").show_default();
  read.add_option("--shards", options->shards, "number of shards to open; 0 skips this").show_default();
  read.add_option("--python", options->python, "with h5py, hdf5plugin and torch").show_default();
  read.callback([options, &chosen] { chosen = [options] { return run_read(*options); }; });
}

}  // namespace vitrine
