#include "common/image/hold_out.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>

#include "common/base/error.h"
#include "common/base/hash.h"

namespace vitrine {

std::string_view hold_out_group(std::string_view id) {
  const std::size_t slash = id.find('/');
  return id.substr(0, slash == std::string_view::npos ? 0 : slash);
}

void apply_hold_out(const ImageFolders& folders, std::vector<ImageEntry>& files) {
  if (folders.hold_out <= 0) return;
  struct Ranked {
    std::uint64_t hash;
    std::size_t file;
  };
  std::map<std::string_view, std::vector<Ranked>> groups;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (!is_unlabelled(files[i].id)) groups[hold_out_group(files[i].id)].push_back({xxh3(files[i].id), i});
  std::vector<char> held(files.size(), 0);
  for (auto& [name, ranked] : groups) {
    const auto count = static_cast<std::ptrdiff_t>(std::lround(folders.hold_out * static_cast<double>(ranked.size())));
    std::ranges::sort(ranked, [&](const Ranked& a, const Ranked& b) {
      return std::pair(a.hash, std::string_view(files[a.file].id)) <
             std::pair(b.hash, std::string_view(files[b.file].id));
    });
    for (std::ptrdiff_t i = 0; i < count; ++i) held[ranked[static_cast<std::size_t>(i)].file] = 1;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if ((held[i] != 0) != folders.held_out) continue;
    if (kept != i) files[kept] = std::move(files[i]);
    ++kept;
  }
  files.resize(kept);
}

void check_hold_out(const std::string& cache, std::optional<double> recorded, double given) {
  if (!recorded || *recorded == given) return;
  throw Error(ErrorKind::kInput, {.path = cache,
                                  .what = text("was made with hold_out = ", *recorded, ", this run has ", given),
                                  .remedy = text("set hold_out = ", *recorded, ", or choose another cache")});
}

}  // namespace vitrine
