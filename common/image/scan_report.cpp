#include "common/image/scan_report.h"

#include <algorithm>
#include <utility>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/image/index_record.h"

namespace vitrine {
namespace {

constexpr std::size_t kShown = 10;  // entries shown by name; more would hide other messages

}  // namespace

void say_what_is_left_out(std::span<const LeftOut> left_out) {
  if (left_out.empty()) return;
  note(text("left out: ", counts_by_kind(left_out)));
  const auto unreadable = std::ranges::count(left_out, LeftOutKind::kUnreadable, &LeftOut::kind);
  if (unreadable > 0)
    note(text(counted(static_cast<std::uint64_t>(unreadable), "file could not be read and is",
                      "files could not be read and are"),
              " missing from the data set; check permissions and the disk, then start again"));
  for (const LeftOut& entry : left_out.first(std::min(kShown, left_out.size())))
    note(text("left out: ", entry.id, ": ", entry.reason));
  if (left_out.size() > kShown) note(text("left out: ", left_out.size() - kShown, " more"));
}

std::string empty_classes(std::span<const LeftOut> left_out) {
  constexpr std::size_t kNamed = 5;
  std::string names;
  std::uint64_t count = 0;
  for (const LeftOut& entry : left_out) {
    if (entry.kind != LeftOutKind::kEmptyClass || count++ >= kNamed) continue;
    names += (names.empty() ? "" : ", ") + entry.id.substr(0, entry.id.size() - 1);
  }
  if (count == 0) return {};
  return text(counted(count, "class folder"), count == 1 ? " holds" : " hold", " no readable image: ", names,
              count > kNamed ? text(" and ", human_count(count - kNamed), " more") : "");
}

void refuse_empty_classes(std::span<const LeftOut> left_out, const std::string& folder) {
  if (const std::string empty = empty_classes(left_out); !empty.empty())
    throw Error(ErrorKind::kInput, {.path = folder,
                                    .what = empty,
                                    .remedy = "add images or remove the folders, or add --allow empty for a student "
                                              "with outputs that no image teaches"});
}

void say_where_all_are_named(std::span<const LeftOut> left_out, const std::filesystem::path& list) {
  if (!left_out.empty()) note(text("left out: ", list.string(), " names all"));
}

void say_what_is_skipped(std::span<const std::pair<std::uint32_t, LeftOut>> bad) {
  if (bad.empty()) return;
  note(text(counted(bad.size(), "image of the index is", "images of the index are"),
            " gone, changed or cannot be read; views that need ", bad.size() == 1 ? "it" : "them", " are left out"));
  for (const auto& [image, entry] : bad.first(std::min(kShown, bad.size())))
    note(text("skipped: ", entry.id, ": ", entry.reason));
  if (bad.size() > kShown) note(text("skipped: ", bad.size() - kShown, " more"));
}

std::function<void(const LeftOut&)> tell_and_list(const std::filesystem::path& list) {
  return [list, there = LeftOutAppender(list), count = std::size_t{0}](const LeftOut& entry) mutable {
    there.add({&entry, 1});
    if (count < kShown) note(text("skipped: ", entry.id, ": ", entry.reason));
    if (++count == kShown) note(text("skipped: see ", list.string(), " for further images"));
  };
}

std::vector<std::string> what_is_special(const PictureCounts& counts, const Decoding& decoding) {
  const auto of = [&](std::uint64_t count) {
    return text(human_count(count), " of ", counted(counts.looked_at, "image"), " examined ");
  };
  std::vector<std::string> out;
  if (counts.rotated > 0)
    out.push_back(text(of(counts.rotated), counts.rotated == 1 ? "has" : "have",
                       " an EXIF orientation other than upright, which is ",
                       decoding.apply_orientation
                           ? "applied (exif_orientation = \"apply\")"
                           : "ignored, as timm and torchvision do; set exif_orientation = \"apply\" to apply it"));
  if (counts.grey16 > 0)
    out.push_back(
        text(of(counts.grey16),
             counts.grey16 == 1 ? "is a 16-bit grey PNG file, which is " : "are 16-bit grey PNG files, which are ",
             decoding.scale_grey16 ? "scaled to 8 bits (grey16 = \"scale\")"
                                   : "clipped at 255, as Pillow does; grey16 = \"scale\" scales such files"));
  return out;
}

void say_what_is_special(const PictureCounts& counts, const Decoding& decoding) {
  for (const std::string& sentence : what_is_special(counts, decoding)) note(sentence);
}

KnownIndex known_index(const std::filesystem::path& directory, ImageIndex index) {
  KnownIndex known;
  if (const auto record = read_index_record(directory, index.hash())) {
    known.depth = record->depth;
    known.counts = record->counts;
    known.hold_out = record->hold_out;
  }
  known.left_out = read_left_out(directory / kLeftOutFile);
  known.index = std::move(index);
  return known;
}

}  // namespace vitrine
