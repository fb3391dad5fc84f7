#include "train/run_files/run_files.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/image/left_out.h"

namespace vitrine {
namespace {

constexpr const char* kTensorsPrefix = "checkpoint-";
constexpr const char* kTensorsSuffix = ".safetensors";

bool is_numbered(const std::string& name, const std::string& before, const std::string& after) {
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after)) return false;
  const std::string number = name.substr(before.size(), name.size() - before.size() - after.size());
  return std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_of_former_layout(const std::string& name) {
  const std::string best = best_weights_in({}).filename().string();
  return name == "last.json" || name == "log.csv" || name == "final.safetensors" || name == best ||
         name.starts_with(best + ".old") || is_numbered(name, "final-", kTensorsSuffix) ||
         is_numbered(name, kTensorsPrefix, kTensorsSuffix);
}

}  // namespace

std::filesystem::path RunFiles::left_out() const {
  return directory_ / kLeftOutFile;
}

std::string RunFiles::tensors_name(std::uint64_t step) {
  return text(kTensorsPrefix, step, kTensorsSuffix);
}

bool RunFiles::is_tensors_name(const std::string& name) {
  return name.starts_with(kTensorsPrefix) && name.ends_with(kTensorsSuffix) && name.find('/') == std::string::npos;
}

std::filesystem::path RunFiles::earlier_weights(std::uint64_t steps) const {
  return exported() / text("last-", steps, ".safetensors");
}

std::filesystem::path RunFiles::earlier_summary(std::uint64_t steps) const {
  return directory_ / text("summary-", steps, ".json");
}

bool RunFiles::has_former_layout() const {
  return std::ranges::any_of(std::initializer_list<const char*>{"last.json", "log.csv", "final.safetensors"},
                             [&](const char* name) { return path_exists(directory_ / name); });
}

std::vector<std::string> RunFiles::present() const {
  std::vector<std::string> out;
  if (!directory_exists(directory_)) return out;
  const bool former = has_former_layout();
  std::vector<std::string> own;
  for (const std::filesystem::path& path : {config(), metrics(), metrics_table(), mapping(), summary(), left_out(),
                                            report(), evaluation(), events(), checkpoints(), exported()})
    own.push_back(path.filename().string());
  for (const DirectoryEntry& entry : list_directory(directory_))
    if (std::ranges::find(own, entry.name) != own.end() || is_numbered(entry.name, "summary-", ".json") ||
        (former && is_of_former_layout(entry.name)))
      out.push_back(entry.name);
  return out;
}

void RunFiles::make() const {
  for (const std::filesystem::path& folder : {directory_, checkpoints(), exported()}) make_directories(folder);
}

void RunFiles::remove_abandoned_files() const {
  for (const std::filesystem::path& folder : {directory_, checkpoints(), exported()}) remove_abandoned(folder);
}

void fail_for_former_layout(const RunFiles& run, const std::string& remedy) {
  throw Error(ErrorKind::kInput, {.path = run.directory().string(),
                                  .what = "holds a run of an earlier version, whose files (last.json, log.csv, "
                                          "final.safetensors) are laid out in another way",
                                  .remedy = remedy});
}

}  // namespace vitrine
