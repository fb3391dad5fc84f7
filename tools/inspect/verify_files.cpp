#include "tools/inspect/verify_files.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "common/base/error.h"
#include "common/cache/writer.h"
#include "tools/inspect/file_check.h"

namespace vitrine {
namespace {

// Per thread, reused from file to file.
struct Scratch {
  Container::Scratch container;
  TrackReader::Scratch track;
  std::vector<float> values;
};

Scratch& scratch_of_thread() {
  thread_local Scratch scratch;
  return scratch;
}

std::uint32_t groups_of(const Plan& plan, std::uint64_t number) {
  return plan.layout().span_of(number).groups;
}

GroupKey group_key(const Plan& plan, std::uint64_t number, std::uint32_t group) {
  return plan.layout().span_of(number).group(group);
}

// Renders only the hashed view and its partner: two pictures per group.
std::uint64_t make_hash(const ViewMaker& views, const std::vector<Recipe>& recipes, std::size_t hashed, int size) {
  std::vector<Recipe> two{recipes[hashed]};
  if (two[0].mix != Mix::kNone) {
    Recipe partner = recipes[two[0].partner];
    partner.mix = Mix::kNone;  // and no box, which without mixing is a letterbox's
    partner.box_top = partner.box_left = partner.box_bottom = partner.box_right = 0;
    two.push_back(partner);
    two[0].partner = 1;
  }
  const std::vector<std::uint8_t> pictures = views.group(two, size);
  return picture_hash(std::span(pictures).first(pictures.size() / two.size()));
}

// Describes an error found while checking `file`, which may be in another file.
std::string what_of(const Error& error, const std::filesystem::path& file) {
  const Problem& problem = error.problem();
  const bool elsewhere = !problem.path.empty() && problem.path != file.string();
  return (elsewhere ? problem.path + ": " : "") + problem.what;
}

// An intact file in the wrong place may be valid data of another cache, or track.json was edited.
bool in_place(const FileTask& task, const ShardDirectory& shard_directory, Findings& findings) {
  if (!shard_directory.holds(task.number)) return false;  // created after the cache was opened
  try {
    shard_directory.open(task.number);
    return true;
  } catch (const Error& error) {
    findings.add(task.path, error, Remedy::kRemake, Remedy::kMove);
    return false;
  }
}

// Returns how many views are marked as left out; none if something is wrong.
std::uint64_t check_recipes(const FileTask& task, const GivenImages* images, Findings& findings, FileCounts& counts) {
  const Plan& plan = task.cache->plan();
  std::uint64_t marked_views = 0;
  bool right = true;
  // Kept for all groups of the file, as other threads may use other passes.
  const PassOrder order = plan.order(group_key(plan, task.number, 0).pass);
  for (std::uint32_t group = 0; group < groups_of(plan, task.number); ++group) {
    const GroupKey key = group_key(plan, task.number, group);
    const auto add = [&](const char* dataset, const std::string& what, Remedy remedy) {
      findings.add(task.path, dataset, group, what, remedy);
    };
    std::vector<Recipe> recipes;
    try {
      recipes = task.cache->recipes(key);
    } catch (const Error& error) {
      findings.add(task.path, error.at({.dataset = "recipe", .group = group}), Remedy::kRemake);
      right = false;
      continue;
    }
    const std::vector<std::uint32_t> left_out = positions_left_out(recipes);
    if (recipes != marked(plan.group(key.pass, key.group), left_out)) {
      add("recipe", "the recipes differ from the plan's", Remedy::kRemake);
      right = false;
      continue;
    }
    counts.left_out += left_out.size();
    marked_views += left_out.size();
    const std::optional<std::size_t> hashed = hashed_view(recipes, key.group);
    if (images == nullptr || !hashed) continue;
    if (images->lost.concern(recipes, *hashed)) {
      ++counts.lost;
      continue;
    }
    try {
      const auto size = static_cast<int>(plan.options().image_size);
      if (make_hash(images->views, recipes, *hashed, size) != task.cache->picture_hash(key))
        add("picture_hash", "the given images give a different picture", Remedy::kImages);
      ++counts.pictures;
    } catch (const Error& error) {
      add("picture_hash", what_of(error, task.path), remedy_of(error.kind(), Remedy::kImages, Remedy::kImages));
    }
  }
  return right ? marked_views : 0;
}

void check_targets(const FileTask& task, Findings& findings, FileCounts& counts) {
  const Plan& plan = task.cache->plan();
  const TrackInfo& track = task.reader->track();
  Scratch& scratch = scratch_of_thread();
  scratch.values.resize(track.view_values() * plan.options().group);
  for (std::uint32_t group = 0; group < groups_of(plan, task.number); ++group) try {
      task.reader->read(group_key(plan, task.number, group), scratch.track, scratch.values);
      ++counts.groups;
      const auto bad = std::ranges::find_if(scratch.values, [](float x) { return !std::isfinite(x); });
      if (bad == scratch.values.end()) continue;
      const auto at = static_cast<std::size_t>(bad - scratch.values.begin());
      findings.add(task.path, "", group, text("view ", at / track.view_values(), " holds a value that is not finite"),
                   Remedy::kRemake);
    } catch (const Error& error) {
      findings.add(task.path, error.at({.group = group}), Remedy::kRemake);
    }
}

// `views_left_out`: marked in a file of recipes in which all else is right. Only such files are ever replaced, and a
// process may die between that and its list: then the list is wrong, not the file.
void check_listed(const FileTask& task, std::uint64_t views_left_out, Findings& findings) {
  const FileRecord* record = task.listed == nullptr ? nullptr : task.listed->find(task.path.filename().string());
  if (record == nullptr) return;
  const FileRecord now = describe_file(task.path);
  if (now == *record) return;
  if (views_left_out > 0) {
    findings.add(task.path.parent_path() / kManifestName, "", -1,
                 text("lists ", record->name, " as it was before more of its views were left out"), Remedy::kRelist);
    return;
  }
  const std::string what = now.bytes != record->bytes
                               ? text("has ", now.bytes, " bytes, ", kManifestName, " lists ", record->bytes)
                               : text("its hash differs from the one in ", kManifestName);
  findings.add(task.path, "", -1, what, Remedy::kRemake);
}

// Whether the dataset has one chunk per group.
bool counts_groups(const std::filesystem::path& file, const std::string& dataset) {
  return dataset != "picture_hash" && file.filename() != "index.h5";
}

}  // namespace

void Findings::add(Finding finding) {
  const std::lock_guard lock(mutex_);
  findings_.push_back(std::move(finding));
}

void Findings::add(const std::filesystem::path& file, const std::string& dataset, std::int64_t group,
                   const std::string& what, Remedy remedy) {
  add({name_of(file), dataset, group, what, remedy});
}

void Findings::add(const std::filesystem::path& file, const Error& error, Remedy damaged, Remedy misplaced) {
  const Problem& problem = error.problem();
  add(file, problem.dataset, counts_groups(file, problem.dataset) ? problem.group : -1, what_of(error, file),
      remedy_of(error.kind(), damaged, misplaced));
}

std::string Findings::name_of(const std::filesystem::path& file) const {
  return file.lexically_relative(cache_).generic_string();
}

std::vector<Finding> Findings::sorted() const {
  const std::lock_guard lock(mutex_);
  std::vector<Finding> sorted = findings_;
  std::ranges::sort(sorted);
  const auto twice = std::ranges::unique(sorted);
  sorted.erase(twice.begin(), twice.end());
  return sorted;
}

bool check_container(const std::filesystem::path& path, Findings& findings, Remedy damaged) {
  // Files that cannot be rebuilt must be copied in any case.
  const Remedy misplaced = damaged == Remedy::kCopy ? Remedy::kCopy : Remedy::kRetry;
  try {
    const Container file(path);
    const auto add = [&](const FileFault& fault) {
      findings.add(path, fault.dataset, counts_groups(path, fault.dataset) ? fault.group : -1, fault.what,
                   remedy_of(fault.kind, damaged, misplaced));
    };
    const std::vector<FileFault> faults = check_frames(file, scratch_of_thread().container);
    for (const FileFault& fault : faults) add(fault);
    if (!faults.empty()) return false;
    const auto fault = check_hdf5(file);
    if (fault) add(*fault);
    return !fault;
  } catch (const Error& error) {
    findings.add(path, error, damaged, misplaced);
    return false;
  }
}

void check_file(const FileTask& task, const GivenImages* images, Findings& findings, FileCounts& counts) {
  const bool recipes = task.path.parent_path().filename() == "recipes";
  try {
    if (!check_container(task.path, findings, Remedy::kRemake)) return;
    std::uint64_t views_left_out = 0;
    if (task.cache != nullptr && recipes) {
      if (!in_place(task, task.cache->recipe_directory(), findings)) return;
      views_left_out = check_recipes(task, images, findings, counts);
    }
    if (task.cache != nullptr && task.reader != nullptr) {
      if (!in_place(task, task.reader->shard_directory(), findings)) return;
      check_targets(task, findings, counts);
    }
    check_listed(task, views_left_out, findings);
  } catch (const Error& error) {
    findings.add(task.path, error, Remedy::kRemake);
  }
}

void check_files(const std::vector<FileTask>& tasks, const GivenImages* images, unsigned threads, Findings& findings,
                 FileCounts& counts, const std::function<void(const FileTask&)>& checked) {
  std::atomic<std::size_t> next = 0;
  tbb::task_arena arena(static_cast<int>(threads));
  arena.execute([&] {
    tbb::parallel_for(
        0u, threads,
        [&](unsigned) {
          for (std::size_t i = next++; i < tasks.size(); i = next++) {
            check_file(tasks[i], images, findings, counts);
            checked(tasks[i]);
          }
        },
        tbb::simple_partitioner());
  });
}

}  // namespace vitrine
