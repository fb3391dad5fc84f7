// A contact sheet: views as a student will see them, what the teacher attends to, and what it takes them for.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_SHEET_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_SHEET_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/image/image.h"
#include "common/plan/recipe.h"

namespace vitrine {

struct SheetView {
  Image picture;
  /// [grid_height, grid_width], not negative; empty: the cell shows the picture alone.
  std::vector<float> attention;
  int grid_height = 0, grid_width = 0;
  std::vector<std::string> lines;  ///< under the view's place: label, mix
  struct Guess {
    std::string name;
    double probability;
    bool right;  ///< it is one of the view's own labels
  };
  std::vector<Guess> guesses;  ///< most probable first
};

struct SheetSize {
  int height, width;
};

inline constexpr int kSheetPicture = 176;  ///< pixels of a picture's sides on the sheet

/// Of a sheet of so many views: two cells a row, the title above.
SheetSize sheet_size(std::size_t views, bool with_attention);

/// Letters outside ASCII are drawn as '?'; text too long for its place ends in "..". Any thread.
Image draw_sheet(const std::string& title, std::span<const SheetView> views);

/// The mean over the first axis of `attention` [heads, H, W].
std::vector<float> mean_over_heads(std::span<const float> attention, std::uint32_t heads);

/// Softmax of logits, the `count` largest. `names`: of classes; a class beyond them is called by its number. `labels`:
/// those that count as right.
std::vector<SheetView::Guess> best_guesses(std::span<const float> logits, const std::vector<std::string>& names,
                                           const std::vector<std::uint32_t>& labels, std::size_t count);

/// "CutMix, 63 % own", "not mixed".
std::string mix_words(const Recipe& recipe);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_SHEET_H_
