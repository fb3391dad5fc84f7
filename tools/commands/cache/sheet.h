// A contact sheet: views as a student sees them, the teacher's attention and its predictions.
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
  /// [grid_height, grid_width], not negative; empty: the cell shows only the picture.
  std::vector<float> attention;
  int grid_height = 0, grid_width = 0;
  std::vector<std::string> lines;  ///< below the view's position: label, mix
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

/// Size of a sheet of `views` views: two cells per row, below the title.
SheetSize sheet_size(std::size_t views, bool with_attention);

/// Non-ASCII characters are drawn as '?'; truncated text ends in "..". Thread-safe.
Image draw_sheet(const std::string& title, std::span<const SheetView> views);

/// The mean over the first axis of `attention` [heads, H, W].
std::vector<float> mean_over_heads(std::span<const float> attention, std::uint32_t heads);

/// The `count` largest softmax probabilities. `names`: of classes; further classes are named by number. `labels`: the
/// classes that count as right.
std::vector<SheetView::Guess> best_guesses(std::span<const float> logits, const std::vector<std::string>& names,
                                           const std::vector<std::uint32_t>& labels, std::size_t count);

/// "CutMix, 63 % own", "not mixed".
std::string mix_words(const Recipe& recipe);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_SHEET_H_
