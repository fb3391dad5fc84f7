// What a person is told of a scan.
#ifndef VITRINE_COMMON_IMAGE_SCAN_REPORT_H_
#define VITRINE_COMMON_IMAGE_SCAN_REPORT_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <utility>

#include "common/image/scan.h"

namespace vitrine {

/// Notes counts by kind and the first entries. Nothing when nothing is left out.
void say_what_is_left_out(std::span<const LeftOut> left_out);
/// Once `list` is written: notes that it names all. Nothing when nothing is left out.
void say_where_all_are_named(std::span<const LeftOut> left_out, const std::filesystem::path& list);

/// Notes the images of an index that cannot be had now, the first of them by name. Nothing when there are none.
void say_what_is_skipped(std::span<const std::pair<std::uint32_t, LeftOut>> bad);
/// Adds an entry to the list (left_out.h) and notes it, unless many were noted before. For BadPictures::on_new().
std::function<void(const LeftOut&)> tell_and_list(const std::filesystem::path& list);

/// Notes how many pictures have an EXIF orientation or 16-bit grey, and what decoding makes of them.
void say_what_is_special(const PictureCounts& counts, const Decoding& decoding);

/// An index of a cache's directory with what stands beside it (index_record.h, left_out.h). Throws Error as
/// read_index_record() does.
KnownIndex known_index(const std::filesystem::path& directory, ImageIndex index);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_SCAN_REPORT_H_
