#include "common/inspect/repair.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/cache/manifest.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// The number in "00012.h5", or nothing for another file.
std::optional<std::uint64_t> shard_number(const fs::path& file) {
  const std::string digits = file.stem().string();
  if (file.extension() != ".h5" || digits.empty() || digits.size() > 10 ||
      digits.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoull(digits);
}

// The track of a directory, when it was made by recoding.
const TrackInfo* recoded_track(const Cache& cache, const std::string& directory) {
  for (const TrackInfo& track : cache.tracks())
    if (track.directory() == directory && track.provenance.contains("recoded_from")) return &track;
  return nullptr;
}

std::string recode_command(const TrackInfo& track, const fs::path& to) {
  const auto exact = [](double number) { return nlohmann::json(number).dump(); };
  std::string command = text("vitrine-cache recode SOURCE --from ", track.directory(), " --to '", to.string(),
                             "' --form ", form_name(track.codec.form), " --level ", track.compression.level);
  if (track.compression.window_log != 0) command += text(" --window ", track.compression.window_log);
  if (track.codec.max_error > 0) command += text(" --max-error ", exact(track.codec.max_error));
  if (track.codec.kept > 0) command += text(" --kept ", track.codec.kept);
  for (const double temperature : track.codec.temperatures)
    command += text(temperature == track.codec.temperatures[0] ? " --temperatures " : ",", exact(temperature));
  return command;
}

// "--set first_pass=2 --set passes=3" for each run of passes that follow each other.
std::vector<std::string> pass_arguments(const std::set<std::uint32_t>& passes) {
  std::vector<std::string> arguments;
  for (auto first = passes.begin(); first != passes.end();) {
    auto next = first;
    std::uint32_t count = 0;
    while (next != passes.end() && *next == *first + count) ++next, ++count;
    arguments.push_back(text("--set first_pass=", *first, " --set passes=", count));
    first = next;
  }
  return arguments;
}

void add_gaps(const fs::path& directory, const std::set<std::string>& remake, RepairPlan& plan) {
  const Cache cache(directory, [](const fs::path&, const std::string&) {});  // told by verify already
  const std::uint32_t shards_per_pass = cache.plan().shards_per_pass();
  std::map<std::string, Gap> gaps;
  for (const std::string& file : remake) {
    Gap& gap = gaps[fs::path(file).parent_path().generic_string()];
    const auto number = shard_number(file);
    if (!number) continue;  // a track.json or basis.h5: any run for the track writes it
    gap.shards.push_back(*number);
    gap.passes.push_back(static_cast<std::uint32_t>(*number / shards_per_pass));
  }
  std::set<std::uint32_t> passes;
  std::vector<std::string> recodings;
  for (auto& [name, gap] : gaps) {
    gap.directory = name;
    std::ranges::sort(gap.shards);
    std::ranges::sort(gap.passes);
    gap.passes.erase(std::unique(gap.passes.begin(), gap.passes.end()), gap.passes.end());
    plan.gaps.push_back(gap);
    if (const TrackInfo* track = recoded_track(cache, name)) {
      recodings.push_back(recode_command(*track, directory));
    } else if (gap.passes.empty()) {
      passes.insert(0);
    } else {
      passes.insert(gap.passes.begin(), gap.passes.end());
    }
  }
  for (const std::string& arguments : pass_arguments(passes))
    plan.commands.push_back("vitrine-extract CONFIG.toml --set 'cache=" + directory.string() + "' " + arguments);
  plan.commands.insert(plan.commands.end(), recodings.begin(), recodings.end());
}

}  // namespace

RepairPlan plan_repair(const fs::path& directory, const VerifyReport& report) {
  RepairPlan plan;
  std::set<std::string> remake, relist;
  for (const Finding& finding : report.findings) {
    const std::string above = fs::path(finding.file).parent_path().generic_string();
    switch (finding.remedy) {
      case Remedy::kCopy:
        plan.unrepairable.push_back(finding);
        break;
      case Remedy::kRemake:
        remake.insert(finding.file);
        if (fs::exists(directory / above / kManifestName)) relist.insert(above);
        break;
      case Remedy::kRelist:
        relist.insert(above);
        break;
      case Remedy::kMove:
      case Remedy::kImages:
        plan.left.push_back(finding);
        break;
    }
  }
  if (!plan.unrepairable.empty()) return plan;
  for (const std::string& file : remake)
    if (fs::exists(directory / file)) plan.remove.push_back(file);
  plan.relist.assign(relist.begin(), relist.end());
  if (!remake.empty()) add_gaps(directory, remake, plan);
  return plan;
}

void carry_out(const fs::path& directory, const RepairPlan& plan) {
  if (!plan.unrepairable.empty())
    fail((directory / plan.unrepairable[0].file).string(), ": ", plan.unrepairable[0].what, "; ",
         remedy_words(plan.unrepairable[0].remedy));
  for (const std::string& file : plan.remove) {
    std::error_code failure;
    const bool plain = fs::is_regular_file(fs::symlink_status(directory / file, failure)) ||
                       fs::is_symlink(fs::symlink_status(directory / file, failure));
    if (!plain) fail((directory / file).string(), ": is not a plain file; look at it and remove it by hand");
    fs::remove(directory / file, failure);
    if (failure)
      fail((directory / file).string(), ": cannot be removed (", failure.message(), "); make the directory writable");
  }
  for (const std::string& above : plan.relist) {
    // One that cannot be read would stop its own renewal.
    std::error_code failure;
    try {
      Manifest::read(directory / above);
    } catch (const Error&) {
      fs::remove(directory / above / kManifestName, failure);
    }
    refresh_manifest(directory / above);
  }
}

}  // namespace vitrine
