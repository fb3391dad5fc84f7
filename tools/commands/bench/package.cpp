#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/temporary.h"
#include "common/cache/cache.h"
#include "common/image/views.h"
#include "tools/commands/bench/command.h"
#include "tools/commands/bench/peer.h"
#include "tools/commands/bench/report.h"
#include "tools/commands/bench/targets.h"

namespace vitrine {
namespace {

constexpr std::string_view kAsCoefficients = " as coefficients";

struct PackageBenchOptions {
  std::filesystem::path cache, images;
  std::uint32_t groups = 16, rounds = 5, turns = 3;
  std::filesystem::path python = bench::default_python();
};

// One thing that both sides read, group by group, and the CPU seconds of each round over pass 0.
struct Work {
  std::string name;
  std::function<void(GroupKey)> read;
  std::vector<double> ours{}, theirs{};
};

std::vector<Work> all_work(const Cache& cache, const std::filesystem::path& images, TrackReader::Scratch& scratch) {
  std::vector<Work> out;
  const auto add = [&](const TrackInfo& track, const std::string& name, bool coefficients) {
    const std::shared_ptr<const TrackReader> reader = std::make_shared<TrackReader>(cache, track);
    const auto buffer = std::make_shared<Buffer>();
    const std::size_t values = track.view_values() * cache.plan().options().group;
    out.push_back({name, [&scratch, reader, buffer, values, coefficients](GroupKey key) {
                     const std::span<float> floats = buffer->numbers<float>(values);
                     coefficients ? reader->read_coefficients(key, scratch, floats)
                                  : reader->read(key, scratch, floats);
                   }});
  };
  for (const TrackInfo& track : cache.tracks()) {
    add(track, track.directory(), false);
    if (track.codec.encoding == Encoding::kTransform)
      add(track, track.directory() + std::string(kAsCoefficients), true);
  }
  if (!images.empty()) {
    const std::uint32_t size = cache.plan().options().image_size;
    const auto maker = std::make_shared<const ViewMaker>(ImageFolders(images), cache.index_ptr(), size);
    out.push_back({"pictures", [&cache, maker, size](GroupKey key) {
                     const std::vector<Recipe> recipes = cache.recipes(key);
                     const std::vector<std::uint8_t> views = maker->group(recipes, static_cast<int>(size));
                     if (hash_of_group(recipes, key.group, views) != cache.picture_hash(key))
                       fail("pass 0, group ", key.group, " has other pixels than the cache's");
                   }});
  }
  return out;
}

double middle(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// The rounds of the package, whose names are those of all_work().
void ask_package(const PackageBenchOptions& options, const Cache& cache, std::vector<Work>& work) {
  const std::string images = options.images.empty() ? "" : text(" --images '", options.images.string(), "'");
  if (*VITRINE_NATIVE != 0) setenv("VITRINE_NATIVE", VITRINE_NATIVE, 0);  // of this build, unless the user names one
  const std::optional<nlohmann::json> answer = bench::ask_peer(
      options.python, "package_peer.py", text("'", cache.directory().string(), "' --rounds ", options.rounds, images));
  if (!answer) fail("the Python package did not run; its message is above");
  for (Work& one : work)
    for (const double seconds : answer->at(one.name).get<std::vector<double>>()) one.theirs.push_back(seconds);
}

int run_package(const PackageBenchOptions& options) {
  if (options.rounds == 0 || options.groups == 0 || options.turns == 0)
    fail("--rounds, --turns and --groups must be at least 1");
  if (options.cache.empty() && !options.images.empty()) fail("--images is of a cache's images; give --cache too");
  std::optional<TemporaryDirectory> own;
  std::filesystem::path directory = options.cache;
  if (directory.empty()) {
    directory = own.emplace().path() / "cache";
    const Plan plan = bench::make_plan(options.groups, 64, std::min(options.groups, 16u));
    bench::write_vit_tiny_cache(directory, plan, 1, 1, true);
  }
  const Cache cache(directory);
  TrackReader::Scratch scratch;
  std::vector<Work> work = all_work(cache, options.images, scratch);
  const std::uint32_t groups = cache.plan().groups_per_pass();
  const auto round = [&](const Work& one) {
    const double start = thread_seconds();
    for (std::uint32_t g = 0; g < groups; ++g) one.read({0, g});
    return thread_seconds() - start;
  };
  for (Work& one : work) round(one);  // warms up
  for (std::uint32_t turn = 0; turn < options.turns; ++turn) {
    for (Work& one : work)
      for (std::uint32_t i = 0; i < options.rounds; ++i) one.ours.push_back(round(one));
    ask_package(options, cache, work);
  }
  const double views = static_cast<double>(groups) * cache.plan().options().group;
  std::vector<ReportLine> lines;
  const auto add_line = [&](const std::string& name, double our_seconds, double their_seconds) {
    lines.push_back({"views per core-second, " + name, figure(views / their_seconds),
                     "C++: " + figure(views / our_seconds), figure(our_seconds / their_seconds) + " x", ">= 0.9 x"});
  };
  double ours = 0, theirs = 0;  // of the tracks as they are read by default, and the pictures
  for (const Work& one : work) {
    add_line(one.name, middle(one.ours), middle(one.theirs));
    if (!one.name.ends_with(kAsCoefficients)) ours += middle(one.ours), theirs += middle(one.theirs);
  }
  add_line("all of these", ours, theirs);
  print_report(
      text("The Python package reading pass 0 of ", options.cache.empty() ? "a ViT-Tiny's targets" : "", " ",
           options.cache.string(), ", one core, median of ", options.turns, " x ", options.rounds, " rounds in turn"),
      lines);
  return 0;
}

}  // namespace

void add_package(CommandLine& line, std::function<int()>& chosen) {
  const auto options = std::make_shared<PackageBenchOptions>();
  CommandLine& package = line.add_subcommand("package", "Compares the Python package's reading with the C++ reader.");
  package.add_option("--cache", options->cache, "the cache to read; default: a synthetic one of a ViT-Tiny");
  package.add_option("--images", options->images, "its images, to compare the views' pictures too");
  package.add_option("--groups", options->groups, "groups of 64 views of the synthetic cache").show_default();
  package.add_option("--rounds", options->rounds, "over pass 0, of each track and turn").show_default();
  package.add_option("--turns", options->turns, "of the two programs").show_default();
  package.add_option("--python", options->python, "with the package's requirements").show_default();
  package.callback([options, &chosen] { chosen = [options] { return run_package(*options); }; });
}

}  // namespace vitrine
