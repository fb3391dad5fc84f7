#include "common/inspect/finding.h"

namespace vitrine {

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
  }
  return "";
}

std::string_view remedy_words(Remedy remedy) {
  switch (remedy) {
    case Remedy::kRemake:
      return "repair, then extract again";
    case Remedy::kRestore:
      return "repair: it is made again from its shards";
    case Remedy::kRelist:
      return "repair: it is made again from the files";
    case Remedy::kCopy:
      return "copy it from another copy of this cache; it cannot be made again";
    case Remedy::kMove:
      return "move it where it belongs, or remove it";
    case Remedy::kImages:
      return "give the folder of images that the cache was made from";
  }
  return "";
}

std::string problem_words(const std::string& error, const std::filesystem::path& file) {
  std::string words = error;
  const auto drop = [&](const std::string& prefix, bool through_colon) {
    if (!words.starts_with(prefix)) return;
    const std::size_t end = through_colon ? words.find(": ", prefix.size()) : prefix.size();
    if (end != std::string::npos) words.erase(0, through_colon ? end + 2 : end);
  };
  drop(file.string() + ": ", false);
  drop("dataset ", true);
  drop("group ", true);
  const std::size_t remedy = words.rfind("; ");
  if (remedy != std::string::npos) words.resize(remedy);
  return words;
}

}  // namespace vitrine
