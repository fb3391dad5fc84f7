#include "common/image/scan.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/base/utf8.h"
#include "common/image/listing.h"
#include "common/image/look.h"

namespace vitrine {
namespace {

constexpr const char* kWhileListed = "while the images were listed";

// Copies entries that need not be read from `known`; returns the files that remain to be read.
std::vector<std::size_t> files_to_read(const ImageFolders& folders, const ImageIndex& known,
                                       std::vector<ImageEntry>& files, const StopFlag& stop) {
  std::vector<bool> sampled(known.images.size(), false);
  for (const std::size_t i : verified_sample(known.images.size())) sampled[i] = true;
  std::vector<char> reused(files.size(), 0);
  tbb::parallel_for(std::size_t{0}, files.size(), [&](std::size_t i) {
    throw_if_stopped(stop, kWhileListed);
    ImageEntry& entry = files[i];
    const auto found = std::ranges::lower_bound(known.images, entry.id, {}, &ImageEntry::id);
    if (found == known.images.end() || found->id != entry.id || found->label != entry.label ||
        sampled[static_cast<std::size_t>(found - known.images.begin())])
      return;
    std::error_code failure;
    if (std::filesystem::file_size(folders.file(entry.id), failure) != found->file_bytes || failure) return;
    entry = *found;
    reused[i] = 1;
  });
  std::vector<std::size_t> rest;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (!reused[i]) rest.push_back(i);
  return rest;
}

// Throws if a folder has no readable image. `without`: what was left out.
void check_not_empty(const ImageFolders& folders, const ImageIndex& index, const std::vector<LeftOut>& without) {
  for (const bool unlabelled : {false, true}) {
    if (unlabelled && folders.unlabelled.empty()) continue;
    const auto here = [&](const std::string& id) { return is_unlabelled(id) == unlabelled; };
    if (std::ranges::any_of(index.images, here, &ImageEntry::id)) continue;
    const auto reason =
        std::ranges::find_if(without, [&](const LeftOut& left) { return here(left.id) && !left.id.ends_with('/'); });
    fail("the folder ", (unlabelled ? folders.unlabelled : folders.images).string(), " holds no readable image",
         index.classes.empty() || unlabelled ? "" : text(" below its ", index.classes.size(), " class folders"),
         reason == without.end() ? "" : text(" (first file: ", reason->id, ": ", reason->reason, ")"),
         "; expected JPEG, PNG or WebP files");
  }
}

// Files left out of the known index stay left out even if they are readable now, so that a restored file does not
// invalidate a cache.
void leave_out_as_before(const KnownIndex& known, FolderScan& scan) {
  std::map<std::string, const LeftOut*> before;
  for (const LeftOut& entry : known.left_out)
    if (entry.kind <= LeftOutKind::kNotInIndex) before.emplace(entry.id, &entry);
  if (before.empty()) return;
  std::erase_if(scan.index.images, [&](const ImageEntry& image) {
    const auto found = before.find(image.id);
    if (found == before.end() || std::ranges::binary_search(known.index.images, image.id, {}, &ImageEntry::id))
      return false;
    const LeftOut& then = *found->second;
    scan.left_out.push_back({image.id,
                             then.kind == LeftOutKind::kNotInIndex
                                 ? then.reason
                                 : "can be read now, but was left out when the index was made: " + then.reason,
                             LeftOutKind::kNotInIndex});
    return true;
  });
}

// Restores images that are missing, changed or unreadable to the index, as they were.
void keep_bad_images(const KnownIndex& known, FolderScan& scan) {
  std::map<std::string, LeftOut> why;
  for (const LeftOut& entry : scan.left_out) why.emplace(entry.id, entry);
  std::vector<ImageEntry> images, added;
  auto fresh = scan.index.images.begin();
  for (std::uint32_t number = 0; number < known.index.images.size(); ++number) {
    const ImageEntry& image = known.index.images[number];
    for (; fresh != scan.index.images.end() && fresh->id < image.id; ++fresh) added.push_back(*fresh);
    images.push_back(image);
    if (fresh != scan.index.images.end() && fresh->id == image.id) {
      if (!(*fresh == image))
        scan.bad.push_back({number, {image.id, "has changed since the index was made", LeftOutKind::kChanged}});
      ++fresh;
    } else if (const auto found = why.find(image.id); found != why.end()) {
      scan.bad.push_back({number, {image.id, found->second.reason, LeftOutKind::kFailedLater}});
    } else {
      scan.bad.push_back({number, {image.id, "is in the index, but no longer in the folder", LeftOutKind::kMissing}});
    }
  }
  added.insert(added.end(), fresh, scan.index.images.end());
  if (!added.empty()) {  // a different data set; the caller compares the indexes
    scan.bad.clear();
    return;
  }
  // In index order, which is by id.
  const auto id_of = [](const auto& bad) -> const std::string& { return bad.second.id; };
  std::erase_if(scan.left_out,
                [&](const LeftOut& entry) { return std::ranges::binary_search(scan.bad, entry.id, {}, id_of); });
  scan.index.images = std::move(images);
}

void add_empty_classes(const ImageIndex& index, std::vector<LeftOut>& left_out) {
  std::vector<std::uint64_t> count(index.classes.size());
  for (const ImageEntry& image : index.images)
    if (image.label != kNoLabel) ++count[image.label];
  for (std::size_t i = 0; i < count.size(); ++i)
    if (count[i] == 0)
      left_out.push_back({index.classes[i] + "/", "holds no readable image", LeftOutKind::kEmptyClass});
}

FolderScan scan(const ImageFolders& folders, const ScanOptions& options, const KnownIndex* known) {
  throw_if_stopped(*options.stop, kWhileListed);
  Listing listing = list_images(folders);
  std::vector<std::size_t> unread(listing.files.size());
  std::iota(unread.begin(), unread.end(), std::size_t{0});
  const Decoding decoding = known != nullptr ? known->index.decoding : options.decoding;
  const bool deep_enough = known != nullptr && known->depth >= options.depth;
  const bool reuses = deep_enough && options.verify == VerifyImages::kSample;
  if (reuses) unread = files_to_read(folders, known->index, listing.files, *options.stop);

  std::vector<Look> looks(listing.files.size());
  {
    std::unique_ptr<Progress> progress;
    if (options.progress && !unread.empty())
      progress = std::make_unique<Progress>(reuses                                 ? "check"
                                            : options.depth == IndexDepth::kDecode ? "decode"
                                                                                   : "index",
                                            "images", unread.size());
    tbb::parallel_for(std::size_t{0}, unread.size(), [&](std::size_t i) {
      throw_if_stopped(*options.stop, kWhileListed);
      looks[unread[i]] = look_at(folders, listing.files[unread[i]], options.depth, decoding);
      if (progress) progress->advance(1);
    });
    if (progress) progress->finish();
  }

  FolderScan out;
  out.depth = deep_enough ? known->depth : options.depth;
  out.index.classes = std::move(listing.classes);
  out.index.decoding = decoding;
  out.left_out = std::move(listing.left_out);
  out.counts.looked_at =
      static_cast<std::uint64_t>(std::ranges::count_if(unread, [&](std::size_t i) { return !looks[i].left_out; }));
  for (std::size_t i = 0; i < looks.size(); ++i) {
    if (looks[i].left_out) {
      out.left_out.push_back(std::move(*looks[i].left_out));
      continue;
    }
    out.counts.rotated += looks[i].rotated ? 1 : 0;
    out.counts.grey16 += looks[i].grey16 ? 1 : 0;
    out.index.images.push_back(std::move(listing.files[i]));
  }
  if (reuses && known->counts) out.counts = *known->counts;
  if (known != nullptr && known->index.classes == out.index.classes) {
    leave_out_as_before(*known, out);
    if (options.keep_bad) keep_bad_images(*known, out);
  }
  if (!folders.held_out) add_empty_classes(out.index, out.left_out);
  std::ranges::sort(out.left_out, {}, &LeftOut::id);
  check_not_empty(folders, out.index, out.left_out);
  return out;
}

}  // namespace

FolderScan scan_images(const ImageFolders& folders, const ScanOptions& options) {
  return scan(folders, options, nullptr);
}

FolderScan scan_images(const ImageFolders& folders, const ScanOptions& options, const KnownIndex& known) {
  return scan(folders, options, &known);
}

ImageIndex scan_image_folder(const ImageFolders& folders, std::vector<LeftOut>* left_out, const StopFlag& stop,
                             const Decoding& decoding) {
  FolderScan found = scan_images(folders, {.stop = &stop, .decoding = decoding});
  if (left_out != nullptr) *left_out = std::move(found.left_out);
  return std::move(found.index);
}

ImageIndex list_image_folder(const ImageFolders& folders) {
  Listing listing = list_images(folders);
  ImageIndex index;
  index.classes = std::move(listing.classes);
  for (ImageEntry& file : listing.files)
    if (is_utf8(file.id)) index.images.push_back(std::move(file));
  return index;
}

PictureListing list_by_header(const ImageFolders& folders, const StopFlag& stop) {
  Listing listing = list_images(folders);
  std::vector<std::optional<LeftOut>> heads(listing.files.size());
  tbb::parallel_for(std::size_t{0}, heads.size(), [&](std::size_t i) {
    throw_if_stopped(stop, kWhileListed);
    heads[i] = look_at_head(folders, listing.files[i]);
  });
  PictureListing out;
  out.index.classes = std::move(listing.classes);
  out.left_out = std::move(listing.left_out);
  for (std::size_t i = 0; i < heads.size(); ++i)
    if (heads[i])
      out.left_out.push_back(std::move(*heads[i]));
    else
      out.index.images.push_back(std::move(listing.files[i]));
  if (!folders.held_out) add_empty_classes(out.index, out.left_out);
  std::ranges::sort(out.left_out, {}, &LeftOut::id);
  return out;
}

std::optional<LeftOut> read_image_entry(const ImageFolders& folders, ImageEntry& entry, const Decoding& decoding) {
  return look_at(folders, entry, IndexDepth::kDecode, decoding).left_out;
}

std::vector<std::size_t> verified_sample(std::size_t images) {
  constexpr std::size_t kMin = 256, kOneIn = 100;
  const std::size_t count = std::min(images, std::max(kMin, (images + kOneIn - 1) / kOneIn));
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(i * images / count);
  return out;
}

}  // namespace vitrine
