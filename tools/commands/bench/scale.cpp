// vitrine-bench scale: the cost of a large cache before anything is read from it, compared with the bare system calls
// or the bare arithmetic that it requires.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/base/temporary.h"
#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/cache/writer.h"
#include "common/plan/draw.h"
#include "tools/commands/bench/command.h"
#include "tools/commands/bench/report.h"
#include "tools/commands/bench/targets.h"

namespace vitrine {
namespace {

struct ScaleBenchOptions {
  std::filesystem::path directory;
  std::uint32_t images = 1'281'167, passes = 24, shards = 10'000, tracks = 4, threads = 8;
};

double wall_seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Groups of 64 views, with about `shards` shards over all passes.
Plan make_plan(const ScaleBenchOptions& options) {
  constexpr std::uint32_t kScaleGroup = 64;
  const std::uint32_t groups = (options.images + kScaleGroup - 1) / kScaleGroup,
                      shards_per_pass = std::max(1u, options.shards / options.passes);
  return bench::make_plan(groups, kScaleGroup, (groups + shards_per_pass - 1) / shards_per_pass);
}

std::uint64_t shards_of(const Plan& plan, const ScaleBenchOptions& options) {
  return std::uint64_t{plan.shards_per_pass()} * options.passes;
}

std::filesystem::path track_directory(const std::filesystem::path& cache, std::uint32_t track) {
  return cache / "bench.00000000" / text("features.", track);
}

// Recipes and tracks are empty files with shard names, all listed in shards.json.
void make_cache(const std::filesystem::path& cache, const Plan& plan, const ScaleBenchOptions& options) {
  create_cache(cache, plan.index(), plan);
  std::vector<FileRecord> listed;
  for (std::uint64_t number = 0; number < shards_of(plan, options); ++number)
    listed.push_back({shard_file_name(number), 0, 0});
  std::vector<std::filesystem::path> directories{cache / "recipes"};
  for (std::uint32_t t = 0; t < options.tracks; ++t) directories.push_back(track_directory(cache, t));
  for (const std::filesystem::path& directory : directories) {
    make_directories(directory);
    for (const FileRecord& file : listed) {
      const int descriptor = ::open((directory / file.name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
      if (descriptor < 0)
        fail_system(errno, (directory / file.name).string(), "cannot be made", "make room on its disk");
      ::close(descriptor);
    }
    refresh_manifest(directory, listed, {.sizes = false});
  }
}

// Only names, with as few calls as possible.
std::uint64_t bare_listing(const std::filesystem::path& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (!stream) fail_system(errno, directory.string(), "cannot be listed");
  std::uint64_t entries = 0;
  while (::readdir(stream.get()) != nullptr) ++entries;
  return entries;
}

void bare_read(const std::filesystem::path& path) {
  std::array<char, 1 << 16> buffer;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_system(errno, path.string(), "cannot be opened");
  while (::read(descriptor, buffer.data(), buffer.size()) > 0) {
  }
  ::close(descriptor);
}

ReportLine line(const std::string& what, double seconds, const std::string& limit, double limit_seconds) {
  return {what, figure(1e3 * seconds), text(limit, ": ", figure(1e3 * limit_seconds)),
          figure(seconds / limit_seconds) + " x"};
}

// Draws the recipes of one group of every shard in order on many threads, as verification does.
double draw_all(const Plan& plan, const ScaleBenchOptions& options) {
  std::atomic<std::uint64_t> next = 0;
  return wall_seconds_of([&] {
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < options.threads; ++t)
      threads.emplace_back([&] {
        for (std::uint64_t number = next++; number < shards_of(plan, options); number = next++) {
          const GroupKey key = plan.layout().span_of(number).group(0);
          const PassOrder order = plan.order(key.pass);
          plan.group(key.pass, key.group);
        }
      });
  });
}

// The same, but each thread works on its own passes.
double draw_apart(const Plan& plan, const ScaleBenchOptions& options) {
  return wall_seconds_of([&] {
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < options.threads; ++t)
      threads.emplace_back([&, t] {
        for (std::uint32_t pass = t; pass < options.passes; pass += options.threads)
          for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard)
            plan.group(pass, plan.layout().span_of({pass, shard}).first_group);
      });
  });
}

int run_scale(const ScaleBenchOptions& options) {
  if (options.images == 0 || options.passes == 0 || options.shards < options.passes || options.threads == 0)
    fail("--images, --passes and --threads must be at least 1, and --shards at least --passes");
  std::optional<TemporaryDirectory> own;
  const std::filesystem::path cache =
      options.directory.empty() ? own.emplace().path() / "cache" : options.directory / "cache";
  const Plan plan = make_plan(options);
  make_cache(cache, plan, options);
  const std::uint64_t shards = shards_of(plan, options);
  std::vector<ReportLine> lines;

  std::unique_ptr<const Cache> opened;
  const double open_seconds = wall_seconds_of([&] { opened = std::make_unique<const Cache>(cache); });
  lines.push_back(line("ms to open the cache: index, plan, list of recipes", open_seconds,
                       "reading and listing the same", wall_seconds_of([&] {
                         bare_read(cache / "index.h5"), bare_read(cache / "plan.json");
                         bare_listing(cache / "recipes");
                       })));

  const auto each_track = [&](const auto& act) {
    for (std::uint32_t t = 0; t < options.tracks; ++t) act(track_directory(cache, t));
  };
  lines.push_back(line(text("ms to list ", counted(options.tracks, "track"), " of ", counted(shards, "shard")),
                       wall_seconds_of([&] { each_track([](const auto& at) { ShardDirectory(at, nullptr); }); }),
                       "readdir", wall_seconds_of([&] { each_track([](const auto& at) { bare_listing(at); }); })));
  const auto merge = [](const auto& at) { refresh_manifest(at, {}, {.sizes = false}); };
  lines.push_back(line(
      text("ms to merge lists into shards.json, ", options.tracks, " tracks, nothing new"),
      wall_seconds_of([&] { each_track(merge); }), "readdir and reading shards.json",
      wall_seconds_of([&] { each_track([](const auto& at) { bare_listing(at), bare_read(at / kManifestName); }); })));

  std::vector<std::uint32_t> order(plan.index().images.size());
  std::iota(order.begin(), order.end(), 0u);
  const double permutation = wall_seconds_of([&] { shuffle(order, RandomStream(1, Purpose::kPassOrder, 0)); });
  const double cores = std::min<double>(options.threads, std::max(1u, std::thread::hardware_concurrency()));
  const Plan together = make_plan(options), apart = make_plan(options);
  const double least = options.passes * permutation / cores;
  lines.push_back(line(text("ms to draw a group of each shard, ", options.threads, " threads, in order"),
                       draw_all(together, options), "one permutation per pass", least));
  lines.push_back({"permutations drawn", human_count(together.orders_drawn()), text("passes: ", options.passes),
                   figure(static_cast<double>(together.orders_drawn()) / options.passes) + " x", "1 x"});
  lines.push_back(
      line("the same, each thread in its own passes", draw_apart(apart, options), "one permutation per pass", least));
  lines.push_back({"permutations drawn", human_count(apart.orders_drawn()), text("passes: ", options.passes),
                   figure(static_cast<double>(apart.orders_drawn()) / options.passes) + " x", "1 x"});
  print_report(
      text("A cache of ", human_count(plan.index().images.size()), " images and ", options.passes, " passes in ",
           human_count(shards), " shards of each of ", options.tracks, " tracks, files in the page cache"),
      lines);
  return 0;
}

}  // namespace

void add_scale(CommandLine& line, std::function<int()>& chosen) {
  const auto options = std::make_shared<ScaleBenchOptions>();
  CommandLine& scale =
      line.add_subcommand("scale", "Compares opening, listing and planning a large cache with bare system calls.");
  scale.add_option("--directory", options->directory,
                   "where to create the cache, which is kept; default: a temporary directory");
  scale.add_option("--images", options->images, "in the index, rounded up to whole groups of 64").show_default();
  scale.add_option("--passes", options->passes, "of the plan").show_default();
  scale.add_option("--shards", options->shards, "approximate number per track, over all passes").show_default();
  scale.add_option("--tracks", options->tracks, "shard directories in addition to the recipes").show_default();
  scale.add_option("--threads", options->threads, "that draw recipes at once").show_default();
  scale.callback([options, &chosen] { chosen = [options] { return run_scale(*options); }; });
}

}  // namespace vitrine
