#include "common/image/scan.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/utf8.h"
#include "common/image/decode.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

struct Candidate {
  ImageEntry entry;
  std::string reason;  // why it is left out; empty when it is not
};

bool hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

// Whether a file's end is where its format wants it. Not a proof: a file for which this is false is decoded to see.
bool ends_well(std::string_view content) {
  constexpr std::size_t kTail = 1024;  // some cameras and editors append a little
  const std::string_view tail = content.substr(content.size() - std::min(content.size(), kTail));
  if (content.starts_with("\xff\xd8")) return tail.find("\xff\xd9") != std::string_view::npos;
  if (content.starts_with("\x89PNG")) return tail.find("IEND") != std::string_view::npos;
  return false;
}

std::vector<std::string> class_folders(const fs::path& root) {
  std::vector<std::string> classes;
  for (const auto& entry : fs::directory_iterator(root))
    if (entry.is_directory() && !hidden(entry.path())) classes.push_back(entry.path().filename().string());
  std::sort(classes.begin(), classes.end());
  return classes;
}

// The files below `start`, which is `root` or lies below it; ids are `prefix` and the path below `root`.
void list_files(const fs::path& root, const fs::path& start, const std::string& prefix, std::uint32_t label,
                std::vector<Candidate>& candidates) {
  fs::recursive_directory_iterator at(start, fs::directory_options::follow_directory_symlink);
  for (; at != fs::recursive_directory_iterator(); ++at) {
    if (hidden(at->path())) {
      if (at->is_directory()) at.disable_recursion_pending();
    } else if (at->is_regular_file()) {
      candidates.push_back({{.id = prefix + at->path().lexically_relative(root).generic_string(), .label = label}, {}});
    }
  }
}

// Takes from `known` what need not be read; those that remain are the ones to look at.
std::vector<std::size_t> believe(const ImageFolders& folders, const ImageIndex& known,
                                 std::vector<Candidate>& candidates, const StopFlag& stop) {
  std::vector<bool> sampled(known.images.size(), false);
  for (const std::size_t i : verified_sample(known.images.size())) sampled[i] = true;
  std::vector<char> believed(candidates.size(), 0);
  tbb::parallel_for(std::size_t{0}, candidates.size(), [&](std::size_t i) {
    throw_if_stopped(stop, "while the images were listed");
    ImageEntry& entry = candidates[i].entry;
    const auto found = std::ranges::lower_bound(known.images, entry.id, {}, &ImageEntry::id);
    if (found == known.images.end() || found->id != entry.id || found->label != entry.label ||
        sampled[static_cast<std::size_t>(found - known.images.begin())])
      return;
    std::error_code failure;
    if (fs::file_size(folders.file(entry.id), failure) != found->file_bytes || failure) return;
    entry = *found;
    believed[i] = 1;
  });
  std::vector<std::size_t> rest;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (!believed[i]) rest.push_back(i);
  return rest;
}

void require_folder(const fs::path& folder, const char* what) {
  if (!fs::is_directory(folder)) fail("there is no folder ", folder.string(), "; give a folder that holds ", what);
}

// Fills index.classes and lists the files of the class folders.
void list_classes(const fs::path& root, ImageIndex& index, std::vector<Candidate>& candidates) {
  constexpr const char* kExpected = "one folder of images for each class";
  require_folder(root, kExpected);
  index.classes = class_folders(root);
  std::vector<std::vector<Candidate>> listed(index.classes.size());
  tbb::parallel_for(std::size_t{0}, listed.size(), [&](std::size_t i) {
    list_files(root, root / index.classes[i], "", static_cast<std::uint32_t>(i), listed[i]);
  });
  for (std::vector<Candidate>& of_class : listed)
    candidates.insert(candidates.end(), std::make_move_iterator(of_class.begin()),
                      std::make_move_iterator(of_class.end()));
  if (index.classes.size() < 2)
    fail("the folder ", root.string(), " holds ",
         index.classes.size() == 0 ? "no class folder" : "only one class folder",
         ", of which at least two are expected; give a folder that holds ", kExpected,
         ", or say that its images have no labels (labels = \"none\")");
}

// Adds the files of a folder without classes.
void list_unlabelled(const fs::path& root, const std::string& prefix, std::vector<Candidate>& candidates) {
  require_folder(root, "images");
  list_files(root, root, prefix, kNoLabel, candidates);
}

// With one folder in the other, images would be there twice, or the one would be a class of the other.
void check_apart(const ImageFolders& folders) {
  const fs::path a = fs::weakly_canonical(folders.images), b = fs::weakly_canonical(folders.unlabelled);
  const auto inside = [](const fs::path& inner, const fs::path& outer) {
    return std::ranges::mismatch(outer, inner).in1 == outer.end();
  };
  if (inside(a, b) || inside(b, a))
    fail("the folder of images without labels, ", folders.unlabelled.string(), ", and that of images, ",
         folders.images.string(), ", lie in each other; give folders that lie apart");
}

// No folder may be without an image that can be read. `without`: what was left out.
void check_not_empty(const ImageFolders& folders, const ImageIndex& index, const std::vector<LeftOut>& without) {
  for (const bool unlabelled : {false, true}) {
    if (unlabelled && folders.unlabelled.empty()) continue;
    const auto here = [&](const std::string& id) { return lies_further(id) == unlabelled; };
    if (std::ranges::any_of(index.images, here, &ImageEntry::id)) continue;
    const auto reason =
        std::ranges::find_if(without, [&](const LeftOut& left) { return here(left.id) && !left.id.ends_with('/'); });
    fail("the folder ", (unlabelled ? folders.unlabelled : folders.images).string(), " holds no readable image",
         index.classes.empty() || unlabelled ? "" : text(" below its ", index.classes.size(), " class folders"),
         reason == without.end() ? "" : text(" (the first file's reason: ", reason->reason, ")"),
         "; JPEG, PNG and WebP files are expected there");
  }
}

// Ascending by id; fills index.classes.
std::vector<Candidate> list_candidates(const ImageFolders& folders, ImageIndex& index) {
  std::vector<Candidate> candidates;
  try {
    if (folders.labels == Labels::kFolders) {
      list_classes(folders.images, index, candidates);
    } else {
      list_unlabelled(folders.images, "", candidates);
    }
    if (!folders.unlabelled.empty()) {
      check_apart(folders);
      list_unlabelled(folders.unlabelled, kUnlabelledPrefix, candidates);
    }
  } catch (const fs::filesystem_error& error) {
    fail("cannot list the images below ", folders.words(), ": ", error.code().message(), " (", error.path1().string(),
         "); give read access to every folder below it");
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.entry.id < b.entry.id; });
  return candidates;
}

ImageIndex scan(const ImageFolders& folders, std::vector<LeftOut>* left_out, const ImageIndex* known,
                const StopFlag& stop) {
  constexpr const char* kWhere = "while the images were listed";
  throw_if_stopped(stop, kWhere);
  ImageIndex index;
  std::vector<Candidate> candidates = list_candidates(folders, index);
  std::vector<std::size_t> unread(candidates.size());
  std::iota(unread.begin(), unread.end(), std::size_t{0});
  if (known != nullptr) unread = believe(folders, *known, candidates, stop);
  tbb::parallel_for(std::size_t{0}, unread.size(), [&](std::size_t i) {
    throw_if_stopped(stop, kWhere);
    Candidate& candidate = candidates[unread[i]];
    try {
      read_image_entry(folders, candidate.entry);
    } catch (const Error& error) {
      candidate.reason = error.what();
    }
  });

  std::vector<std::uint64_t> count(index.classes.size());
  std::vector<LeftOut> without;
  for (Candidate& candidate : candidates) {
    if (!candidate.reason.empty()) {
      without.push_back({candidate.entry.id, candidate.reason});
      continue;
    }
    if (candidate.entry.label != kNoLabel) ++count[candidate.entry.label];
    index.images.push_back(std::move(candidate.entry));
  }
  for (std::size_t i = 0; i < count.size(); ++i)
    if (count[i] == 0)
      without.push_back({index.classes[i] + "/", "the class folder " + index.classes[i] + " holds no readable image"});
  std::sort(without.begin(), without.end(), [](const LeftOut& a, const LeftOut& b) { return a.id < b.id; });
  check_not_empty(folders, index, without);
  if (left_out != nullptr) *left_out = std::move(without);
  return index;
}

}  // namespace

ImageIndex scan_image_folder(const ImageFolders& folders, std::vector<LeftOut>* left_out, const StopFlag& stop) {
  return scan(folders, left_out, nullptr, stop);
}

ImageIndex scan_image_folder(const ImageFolders& folders, std::vector<LeftOut>* left_out, const ImageIndex& known,
                             VerifyImages verify, const StopFlag& stop) {
  return scan(folders, left_out, verify == VerifyImages::kSample ? &known : nullptr, stop);
}

ImageIndex list_image_folder(const ImageFolders& folders) {
  ImageIndex index;
  for (Candidate& candidate : list_candidates(folders, index))
    if (is_utf8(candidate.entry.id)) index.images.push_back(std::move(candidate.entry));
  return index;
}

void read_image_entry(const ImageFolders& folders, ImageEntry& entry) {
  if (!is_utf8(entry.id)) fail("the image ", entry.id, " has a name that is not UTF-8; rename it or its folder");
  const std::string content = read_file(folders.file(entry.id));
  const auto bytes = std::as_bytes(std::span(content));
  ImageSize size = read_image_size(bytes, entry.id);
  if (!ends_well(content)) {
    const Image image = decode_image(bytes, entry.id);
    size = {image.height, image.width};
  }
  entry.height = static_cast<std::uint32_t>(size.height);
  entry.width = static_cast<std::uint32_t>(size.width);
  entry.file_bytes = content.size();
  entry.hash = xxh3(bytes);
}

std::vector<std::size_t> verified_sample(std::size_t images) {
  constexpr std::size_t kLeast = 256, kOneIn = 100;
  const std::size_t count = std::min(images, std::max(kLeast, (images + kOneIn - 1) / kOneIn));
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(i * images / count);
  return out;
}

}  // namespace vitrine
