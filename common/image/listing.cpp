#include "common/image/listing.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/image/hold_out.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Kind = DirectoryEntry::Kind;

std::string lower_case(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

// Walks the files of one root or one class folder.
class Walk {
 public:
  // `above`: the folder that is walked, and those above it, which no link may enter again.
  Walk(std::vector<fs::path> above, std::uint32_t label) : label_(label), above_(std::move(above)) {}

  // Walks a folder; `id`: its id with a trailing '/', or empty.
  void folder(const fs::path& path, const std::string& id) {
    for (const DirectoryEntry& entry : list_directory(path)) {
      std::string own = id + entry.name;
      if (entry.kind == Kind::kDirectory) {
        if (may_enter(path / entry.name, entry.name, own)) {
          above_.push_back(path / entry.name);
          folder(path / entry.name, own + "/");
          above_.pop_back();
        }
      } else if (is_file(entry, own)) {
        files.push_back({.id = std::move(own), .label = label_});
      }
    }
  }

  // Whether to descend into a folder; otherwise it is left out.
  bool may_enter(const fs::path& path, const std::string& name, const std::string& id) {
    const auto leave = [&](LeftOutKind kind, const char* reason) {
      left_out.push_back({id + "/", reason, kind});
      return false;
    };
    if (name.starts_with('.')) return leave(LeftOutKind::kHidden, "a folder whose name begins with a dot");
    if (is_junk_folder(name)) return leave(LeftOutKind::kJunkFolder, "a folder created by a system or program");
    if (std::ranges::any_of(above_, [&](const fs::path& one) { return same_file(one, path); }))
      return leave(LeftOutKind::kLinkLoop, "a link to a folder that contains it");
    return true;
  }

  // Whether to examine a non-folder entry; otherwise it is left out.
  bool is_file(const DirectoryEntry& entry, const std::string& id) {
    const auto leave = [&](LeftOutKind kind, const char* reason) {
      left_out.push_back({id, reason, kind});
      return false;
    };
    if (entry.name.starts_with('.')) return leave(LeftOutKind::kHidden, "a file whose name begins with a dot");
    if (entry.kind == Kind::kDangling) return leave(LeftOutKind::kDanglingLink, "a broken symbolic link");
    if (entry.kind == Kind::kOther) return leave(LeftOutKind::kSpecialFile, "is not a regular file");
    return true;
  }

  std::vector<ImageEntry> files;
  std::vector<LeftOut> left_out;

 private:
  std::uint32_t label_;
  std::vector<fs::path> above_;
};

void move_to(Listing& listing, Walk& walk) {
  std::ranges::move(walk.files, std::back_inserter(listing.files));
  std::ranges::move(walk.left_out, std::back_inserter(listing.left_out));
}

void require_folder(const fs::path& folder, const char* what) {
  if (directory_exists(folder)) return;
  throw Error(ErrorKind::kInput, {.path = folder.empty() ? "\"\"" : folder.string(),
                                  .what = path_exists(folder) ? "is not a directory" : "does not exist",
                                  .remedy = text("choose a folder that holds ", what)});
}

void list_classes(const ImageFolders& folders, Listing& listing) {
  const fs::path& root = folders.images;
  constexpr const char* kExpected = "one folder of images for each class";
  require_folder(root, kExpected);
  Walk top({root}, kNoLabel);
  for (const DirectoryEntry& entry : list_directory(root)) {
    if (entry.kind == Kind::kDirectory) {
      if (top.may_enter(root / entry.name, entry.name, entry.name)) listing.classes.push_back(entry.name);
    } else if (top.is_file(entry, entry.name)) {
      top.left_out.push_back({entry.name, "is beside the class folders, not in one", LeftOutKind::kOutsideClasses});
    }
  }
  move_to(listing, top);
  std::vector<Walk> walks;
  for (std::size_t i = 0; i < listing.classes.size(); ++i)
    walks.emplace_back(std::vector{root, root / listing.classes[i]}, static_cast<std::uint32_t>(i));
  tbb::parallel_for(std::size_t{0}, walks.size(),
                    [&](std::size_t i) { walks[i].folder(root / listing.classes[i], listing.classes[i] + "/"); });
  for (Walk& walk : walks) move_to(listing, walk);
  if (listing.classes.size() < folders.least_classes)
    fail("the folder ", root.string(), " holds ", listing.classes.empty() ? "no class folder" : "only one class folder",
         "; expected at least ", folders.least_classes == 1 ? "one" : "two", "; choose a folder that holds ", kExpected,
         ", or set labels = \"none\" for images without labels");
}

void list_unlabelled(const fs::path& root, const std::string& prefix, Listing& listing) {
  require_folder(root, "images");
  Walk walk({root}, kNoLabel);
  walk.folder(root, prefix);
  move_to(listing, walk);
}

// If one folder contains the other, images would be listed twice or be a class of the other.
void check_apart(const ImageFolders& folders) {
  std::error_code failure;
  const auto canonical = [&failure](const fs::path& path) {
    fs::path out = fs::weakly_canonical(path, failure);
    if (failure)
      fail_system(failure.value(), path.string(), "cannot be examined", "check the path and its permissions");
    return out;
  };
  const fs::path a = canonical(folders.images), b = canonical(folders.unlabelled);
  const auto inside = [](const fs::path& inner, const fs::path& outer) {
    return std::ranges::mismatch(outer, inner).in1 == outer.end();
  };
  if (inside(a, b) || inside(b, a))
    fail("the unlabelled folder ", folders.unlabelled.string(), " and the image folder ", folders.images.string(),
         " overlap; choose separate folders");
}

}  // namespace

bool is_junk_folder(const std::string& name) {
  static constexpr std::array<std::string_view, 9> kJunk = {"__macosx",   "@eadir",      "#recycle",
                                                            "@recycle",   "#snapshot",   "$recycle.bin",
                                                            "lost+found", "__pycache__", "system volume information"};
  return std::ranges::find(kJunk, lower_case(name)) != kJunk.end();
}

bool is_sidecar(const std::string& name) {
  static constexpr std::array<std::string_view, 2> kNames = {"thumbs.db", "desktop.ini"};
  static constexpr std::array<std::string_view, 16> kEnds = {".xmp",  ".json", ".txt", ".xml",   ".csv", ".tsv",
                                                             ".yaml", ".yml",  ".md",  ".html",  ".ini", ".db",
                                                             ".log",  ".aae",  ".md5", ".sha256"};
  const std::string lower = lower_case(name);
  return std::ranges::find(kNames, lower) != kNames.end() ||
         std::ranges::any_of(kEnds, [&](std::string_view end) { return lower.ends_with(end); });
}

Listing list_images(const ImageFolders& folders) {
  Listing listing;
  if (folders.labels == Labels::kFolders) {
    list_classes(folders, listing);
  } else {
    list_unlabelled(folders.images, "", listing);
  }
  if (!folders.unlabelled.empty()) {
    check_apart(folders);
    list_unlabelled(folders.unlabelled, kUnlabelledPrefix, listing);
  }
  const bool any = !listing.files.empty();
  apply_hold_out(folders, listing.files);
  if (any && listing.files.empty())
    fail(folders.images.string(), ": hold_out = ", folders.hold_out,
         folders.held_out ? " holds out none" : " holds out all", " of its files; choose a ",
         folders.held_out ? "larger" : "smaller", " share");
  std::ranges::sort(listing.files, {}, &ImageEntry::id);
  return listing;
}

}  // namespace vitrine
