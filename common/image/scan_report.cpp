#include "common/image/scan_report.h"

#include <algorithm>
#include <utility>

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
    note(text(unreadable,
              " files could not be read and are missing from the data set; check permissions and the disk, ",
              "then start again"));
  for (const LeftOut& entry : left_out.first(std::min(kShown, left_out.size())))
    note(text("left out: ", entry.id, ": ", entry.reason));
  if (left_out.size() > kShown) note(text("left out: ", left_out.size() - kShown, " more"));
}

void say_where_all_are_named(std::span<const LeftOut> left_out, const std::filesystem::path& list) {
  if (!left_out.empty()) note(text("left out: ", list.string(), " names all"));
}

void say_what_is_skipped(std::span<const std::pair<std::uint32_t, LeftOut>> bad) {
  if (bad.empty()) return;
  note(text(human_count(bad.size()),
            " images of the index are gone, changed or cannot be read; views that need them are ", "left out"));
  for (const auto& [image, entry] : bad.first(std::min(kShown, bad.size())))
    note(text("skipped: ", entry.id, ": ", entry.reason));
  if (bad.size() > kShown) note(text("skipped: ", bad.size() - kShown, " more"));
}

std::function<void(const LeftOut&)> tell_and_list(const std::filesystem::path& list) {
  return [list, count = std::size_t{0}](const LeftOut& entry) mutable {
    add_left_out(list, {&entry, 1});
    if (count < kShown) note(text("skipped: ", entry.id, ": ", entry.reason));
    if (++count == kShown) note(text("skipped: see ", list.string(), " for further images"));
  };
}

void say_what_is_special(const PictureCounts& counts, const Decoding& decoding) {
  const auto of = text(" of ", human_count(counts.looked_at), " images examined ");
  if (counts.rotated > 0)
    note(text(human_count(counts.rotated), of, "have an EXIF orientation other than upright, which is ",
              decoding.apply_orientation
                  ? "applied (exif_orientation = \"apply\")"
                  : "ignored, as timm and torchvision do; set exif_orientation = \"apply\" to apply it"));
  if (counts.deep_grey > 0)
    note(text(human_count(counts.deep_grey), of, "are 16-bit grey PNG files, which are ",
              decoding.scale_grey16 ? "scaled to 8 bits (grey16 = \"scale\")"
                                    : "clipped at 255, as Pillow does; grey16 = \"scale\" scales them"));
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
