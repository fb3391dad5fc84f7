#include "tools/inspect/finding.h"

#include <algorithm>

namespace vitrine {

Remedy remedy_of(ErrorKind kind, Remedy damaged, Remedy misplaced) {
  switch (kind) {
    case ErrorKind::kCorrupt:
      return damaged;
    case ErrorKind::kNewer:
      return Remedy::kNewer;
    case ErrorKind::kInput:
      return misplaced;
    case ErrorKind::kIo:
    case ErrorKind::kMemory:
    case ErrorKind::kInternal:
      break;
  }
  return Remedy::kRetry;
}

std::string_view remedy_name(Remedy remedy) {
  switch (remedy) {
    case Remedy::kRemake:
      return "remake";
    case Remedy::kRestore:
      return "restore";
    case Remedy::kRelist:
      return "relist";
    case Remedy::kCopy:
      return "copy";
    case Remedy::kMove:
      return "move";
    case Remedy::kImages:
      return "images";
    case Remedy::kRetry:
      return "retry";
    case Remedy::kNewer:
      return "newer";
  }
  return "";
}

std::string_view remedy_words(Remedy remedy) {
  switch (remedy) {
    case Remedy::kRemake:
      return "repair, then extract again";
    case Remedy::kRestore:
      return "repair: rebuilds it from its shards";
    case Remedy::kRelist:
      return "repair: rebuilds it from the files";
    case Remedy::kCopy:
      return "copy it from another copy of this cache; it cannot be rebuilt";
    case Remedy::kMove:
      return "move it where it belongs, or remove it";
    case Remedy::kImages:
      return "give the folder of images that the cache was made from";
    case Remedy::kRetry:
      return "check its permissions and its disk, then verify again";
    case Remedy::kNewer:
      return "use the version of vitrine that made it";
  }
  return "";
}

int exit_code(const std::vector<Finding>& findings) {
  const auto all = [&](auto... remedies) {
    return std::ranges::all_of(findings, [&](const Finding& f) { return ((f.remedy == remedies) || ...); });
  };
  if (findings.empty()) return 0;
  if (all(Remedy::kNewer)) return exit_code(ErrorKind::kNewer);
  return all(Remedy::kNewer, Remedy::kRetry) ? exit_code(ErrorKind::kIo) : 1;
}

}  // namespace vitrine
