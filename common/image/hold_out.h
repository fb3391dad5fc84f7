// Splits a folder of images in two: those held out, which validate a student, and the others, which teach it.
#ifndef VITRINE_COMMON_IMAGE_HOLD_OUT_H_
#define VITRINE_COMMON_IMAGE_HOLD_OUT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/image/folders.h"
#include "common/plan/image_index.h"

namespace vitrine {

/// The topmost folder of an id, whose files are split together; empty for a file in none.
std::string_view hold_out_group(std::string_view id);

/// Keeps one side of the split of folders.hold_out in `files` (a listing, in any order): the held-out files if
/// folders.held_out, else the others. Of the n files of each class folder (of each hold_out_group()),
/// round(hold_out · n) are held out: those whose ids have the smallest xxh3. A function only of the ids:
/// every program splits alike, with labels or without. Images of folders.unlabelled are never held out.
void apply_hold_out(const ImageFolders& folders, std::vector<ImageEntry>& files);

/// Throws Error unless a cache whose index holds out `recorded` of its folder is used with the same share. Nothing
/// recorded: no check.
void check_hold_out(const std::string& cache, std::optional<double> recorded, double given);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_HOLD_OUT_H_
