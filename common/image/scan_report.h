// Reports a scan's result to the user.
#ifndef VITRINE_COMMON_IMAGE_SCAN_REPORT_H_
#define VITRINE_COMMON_IMAGE_SCAN_REPORT_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/image/scan.h"

namespace vitrine {

/// Notes the counts by kind and the first entries. Silent for an empty list.
void say_what_is_left_out(std::span<const LeftOut> left_out);
/// "2 class folders hold no readable image: bird, cat", with at most five names; empty if every class has one.
std::string empty_classes(std::span<const LeftOut> left_out);
/// Throws Error for a folder of training images with empty classes: a student would have outputs that no image teaches.
void refuse_empty_classes(std::span<const LeftOut> left_out, const std::string& folder);
/// Notes that `list`, once written, names all entries. Silent for an empty list.
void say_where_all_are_named(std::span<const LeftOut> left_out, const std::filesystem::path& list);

/// Notes unavailable images of an index, the first of them by name. Silent for an empty list.
void say_what_is_skipped(std::span<const std::pair<std::uint32_t, LeftOut>> bad);
/// A callback for BadPictures::on_new(): adds an entry to the list (left_out.h) and, for the first few, notes it.
std::function<void(const LeftOut&)> tell_and_list(const std::filesystem::path& list);

/// Sentences on how many images have an EXIF orientation or 16-bit grey, and how they are decoded.
std::vector<std::string> what_is_special(const PictureCounts& counts, const Decoding& decoding);
/// Notes them.
void say_what_is_special(const PictureCounts& counts, const Decoding& decoding);

/// Combines an index with the records beside it in a cache directory (index_record.h, left_out.h). Throws Error as
/// read_index_record() does.
KnownIndex known_index(const std::filesystem::path& directory, ImageIndex index);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_SCAN_REPORT_H_
