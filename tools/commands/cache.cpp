// vitrine-cache info DIR [--json]: what a cache directory holds.
#include "common/cache/cache.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/progress.h"

namespace {

using vitrine::human_bytes;
using vitrine::human_count;

struct TrackState {
  const vitrine::TrackInfo* info;
  std::vector<std::uint32_t> passes;
  std::uint64_t shards, bytes, views;
  double bytes_per_view() const { return views == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(views); }
};

std::vector<TrackState> examine(const vitrine::Cache& cache) {
  std::vector<TrackState> states;
  for (const vitrine::TrackInfo& info : cache.tracks()) {
    const vitrine::TrackReader reader(cache, info);
    states.push_back({&info, reader.passes(), reader.shards(), reader.stored_bytes(), reader.stored_views()});
  }
  return states;
}

std::string shape_words(const std::vector<std::uint32_t>& shape) {
  std::string words;
  for (const std::uint32_t axis : shape) words += (words.empty() ? "" : "x") + std::to_string(axis);
  return words;
}

// "0-4, 7"
std::string pass_words(const std::vector<std::uint32_t>& passes) {
  std::string words;
  for (std::size_t i = 0, last; i < passes.size(); i = last + 1) {
    last = i;
    while (last + 1 < passes.size() && passes[last + 1] == passes[last] + 1) ++last;
    words += (words.empty() ? "" : ", ") + std::to_string(passes[i]);
    if (last > i) words += "-" + std::to_string(passes[last]);
  }
  return words.empty() ? "none" : words;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      std::cout << "  " << std::left << std::setw(i + 1 < row.size() ? static_cast<int>(widths[i]) : 0) << row[i];
    std::cout << '\n';
  }
}

void print_words(const vitrine::Cache& cache, const std::vector<TrackState>& tracks) {
  const vitrine::Plan& plan = cache.plan();
  std::cout << cache.directory().string() << ": " << human_count(cache.index().images.size()) << " images, "
            << human_count(cache.index().classes.size()) << " classes\n"
            << "plan " << plan.hash().substr(0, 8) << ": " << human_count(plan.groups_per_pass()) << " groups of "
            << plan.options().group << " views a pass, " << human_count(plan.shards_per_pass())
            << " shards a pass; recipes of passes " << pass_words(cache.recipe_passes()) << "\n";
  const auto json = nlohmann::ordered_json::parse(plan.json());
  std::vector<std::vector<std::string>> settings;
  for (const auto& [key, value] : json["settings"].items()) settings.push_back({key, value.dump()});
  print_table(settings);
  std::cout << (tracks.empty() ? "tracks: none\n" : "tracks:\n");
  if (tracks.empty()) return;
  std::vector<std::vector<std::string>> rows{{"track", "shape", "form", "passes", "shards", "bytes a view", "total"}};
  std::uint64_t total = 0;
  for (const TrackState& track : tracks) {
    total += track.bytes;
    rows.push_back({track.info->directory(), shape_words(track.info->shape), vitrine::form_name(track.info->codec.form),
                    pass_words(track.passes), human_count(track.shards), human_bytes(track.bytes_per_view()),
                    human_bytes(static_cast<double>(track.bytes))});
  }
  rows.push_back({"all", "", "", "", "", "", human_bytes(static_cast<double>(total))});
  print_table(rows);
  std::cout << "provenance:\n";
  rows.clear();
  for (const TrackState& track : tracks) {
    rows.push_back({track.info->directory(), "weights", track.info->weights_sha256});
    for (const auto& [key, value] : track.info->provenance) rows.push_back({track.info->directory(), key, value});
  }
  print_table(rows);
}

void print_json(const vitrine::Cache& cache, const std::vector<TrackState>& tracks) {
  nlohmann::ordered_json out;
  out["images"] = cache.index().images.size();
  out["classes"] = cache.index().classes.size();
  out["plan_hash"] = cache.plan().hash();
  out["plan"] = nlohmann::ordered_json::parse(cache.plan().json());
  out["recipe_passes"] = cache.recipe_passes();
  out["tracks"] = nlohmann::ordered_json::array();
  for (const TrackState& track : tracks) {
    nlohmann::ordered_json entry;
    entry["directory"] = track.info->directory();
    entry["track"] = nlohmann::ordered_json::parse(track.info->json());
    entry["passes"] = track.passes;
    entry["shards"] = track.shards;
    entry["views"] = track.views;
    entry["bytes"] = track.bytes;
    entry["bytes_per_view"] = track.bytes_per_view();
    out["tracks"].push_back(entry);
  }
  std::cout << out.dump(2) << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Looks into a cache of teacher outputs."};
  app.require_subcommand(1);
  std::string directory;
  bool json = false;
  CLI::App* info = app.add_subcommand("info", "prints images, plan and tracks: what is complete and what it takes");
  info->add_option("DIR", directory, "the cache's directory")->required();
  info->add_flag("--json", json, "print JSON, for programs");
  CLI11_PARSE(app, argc, argv);
  return vitrine::guarded_main("vitrine-cache", [&] {
    const vitrine::Cache cache(directory);
    const std::vector<TrackState> tracks = examine(cache);
    json ? print_json(cache, tracks) : print_words(cache, tracks);
    return 0;
  });
}
