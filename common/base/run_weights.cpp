#include "common/base/run_weights.h"

#include "common/base/files.h"

namespace vitrine {
namespace {

constexpr const char* kExported = "exported";
constexpr const char* kLastWeights = "last.safetensors";
constexpr const char* kBestWeights = "best.safetensors";

std::filesystem::path without_slash(std::filesystem::path path) {
  while (path.has_relative_path() && path.filename().empty()) path = path.parent_path();
  return path;
}

}  // namespace

std::filesystem::path exported_folder(const std::filesystem::path& run) {
  return run / kExported;
}

std::filesystem::path last_weights_in(const std::filesystem::path& exported) {
  return exported / kLastWeights;
}

std::filesystem::path best_weights_in(const std::filesystem::path& exported) {
  return exported / kBestWeights;
}

std::optional<std::filesystem::path> weights_of_run(const std::filesystem::path& directory) {
  const bool inside = without_slash(directory).filename() == kExported;
  const std::filesystem::path folder = inside ? directory : exported_folder(directory);
  for (const std::filesystem::path& file : {best_weights_in(folder), last_weights_in(folder)})
    if (file_exists(file)) return file;
  return std::nullopt;
}

std::filesystem::path run_of_weights(const std::filesystem::path& path) {
  std::filesystem::path out = without_slash(path);
  if (out.filename() == kLastWeights || out.filename() == kBestWeights) {
    if (out.parent_path().filename() != kExported) return out;
    out = out.parent_path();
  }
  return out.filename() == kExported && out.has_parent_path() ? out.parent_path() : out;
}

}  // namespace vitrine
