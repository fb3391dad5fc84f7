#include "tools/commands/cache/sheet.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "common/base/digits.h"

namespace vitrine {
namespace {

constexpr int kMargin = 20, kGap = 8, kHead = 46, kColumns = 2, kText = 236, kLine = 19, kBar = 30;
constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kSmall = 0.42, kLarge = 0.56;

// RGB throughout.
const cv::Scalar kPaper(250, 250, 248), kInk(32, 34, 38), kGrey(112, 116, 122), kTrack(230, 232, 234),
    kWrong(158, 186, 214), kRight(126, 196, 142);

int cell_width(bool with_attention) {
  return kSheetPicture + (with_attention ? kGap + kSheetPicture : 0) + 12 + kText;
}

std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if ((c & 0xC0) == 0x80) continue;  // continuation byte
    out += c < ' ' || c > '~' ? '?' : c;
  }
  return out;
}

int text_width(const std::string& text, double scale) {
  int below = 0;
  return cv::getTextSize(text, kFont, scale, 1, &below).width;
}

void draw_text(cv::Mat& sheet, const std::string& words, int x, int y, double scale, const cv::Scalar& colour,
               int room) {
  std::string text = plain(words);
  if (text_width(text, scale) > room) {
    while (!text.empty() && text_width(text + "..", scale) > room) text.pop_back();
    text += "..";
  }
  cv::putText(sheet, text, {x, y}, kFont, scale, colour, 1, cv::LINE_AA);
}

cv::Mat on_sheet(const Image& picture) {
  const cv::Mat whole(picture.height, picture.width, CV_8UC3, const_cast<std::uint8_t*>(picture.rgb.data()));
  cv::Mat out;
  cv::resize(whole, out, {kSheetPicture, kSheetPicture}, 0, 0,
             picture.width > kSheetPicture ? cv::INTER_AREA : cv::INTER_CUBIC);
  return out;
}

// The darkened grey picture, coloured by attention; the largest value has full colour.
cv::Mat overlaid(const cv::Mat& picture, const SheetView& view) {
  const cv::Mat grid(view.grid_height, view.grid_width, CV_32F, const_cast<float*>(view.attention.data()));
  double most = 0;
  cv::minMaxLoc(grid, nullptr, &most);
  cv::Mat heat;
  cv::resize(grid * (most > 0 ? 1 / most : 0), heat, picture.size(), 0, 0, cv::INTER_CUBIC);
  cv::Mat bytes, colours, grey;
  heat.convertTo(bytes, CV_8U, 255);
  cv::applyColorMap(bytes, colours, cv::COLORMAP_INFERNO);
  cv::cvtColor(colours, colours, cv::COLOR_BGR2RGB);
  cv::cvtColor(picture, grey, cv::COLOR_RGB2GRAY);
  cv::Mat out(picture.size(), CV_8UC3);
  for (int y = 0; y < out.rows; ++y)
    for (int x = 0; x < out.cols; ++x) {
      const double share = 0.15 + 0.7 * bytes.at<std::uint8_t>(y, x) / 255.0, base = 0.95 * grey.at<std::uint8_t>(y, x);
      for (int c = 0; c < 3; ++c)
        out.at<cv::Vec3b>(y, x)[c] =
            cv::saturate_cast<std::uint8_t>(share * colours.at<cv::Vec3b>(y, x)[c] + (1 - share) * base);
    }
  return out;
}

void draw_guess(cv::Mat& sheet, const SheetView::Guess& guess, int x, int y) {
  const std::string share = percent_words(guess.probability, guess.probability < 0.0995 ? 1 : 0);
  const int wide = text_width(share, kSmall);
  draw_text(sheet, guess.name, x, y, kSmall, kInk, kText - wide - 10);
  draw_text(sheet, share, x + kText - wide, y, kSmall, kInk, wide + 1);
  cv::rectangle(sheet, cv::Rect(x, y + 6, kText, 6), kTrack, cv::FILLED);
  const auto length = static_cast<int>(std::lround(kText * std::clamp(guess.probability, 0.0, 1.0)));
  if (length > 0) cv::rectangle(sheet, cv::Rect(x, y + 6, length, 6), guess.right ? kRight : kWrong, cv::FILLED);
}

void draw_cell(cv::Mat& sheet, const SheetView& view, int left, int top, bool with_attention) {
  const cv::Mat picture = on_sheet(view.picture);
  picture.copyTo(sheet(cv::Rect(left, top, kSheetPicture, kSheetPicture)));
  int x = left + kSheetPicture;
  if (with_attention) {
    x += kGap;
    if (!view.attention.empty()) overlaid(picture, view).copyTo(sheet(cv::Rect(x, top, kSheetPicture, kSheetPicture)));
    x += kSheetPicture;
  }
  x += 12;
  int y = top + 14;
  for (std::size_t i = 0; i < view.lines.size(); ++i, y += kLine)
    draw_text(sheet, view.lines[i], x, y, kSmall, i == 0 ? kInk : kGrey, kText);
  y = top + kSheetPicture - kBar * static_cast<int>(view.guesses.size()) + 14;
  for (const SheetView::Guess& guess : view.guesses) {
    draw_guess(sheet, guess, x, y);
    y += kBar;
  }
}

}  // namespace

SheetSize sheet_size(std::size_t views, bool with_attention) {
  const auto columns = static_cast<int>(std::clamp<std::size_t>(views, 1, kColumns));
  const auto rows = static_cast<int>((views + kColumns - 1) / kColumns);
  return {kHead + rows * (kSheetPicture + kMargin) + kMargin,
          columns * cell_width(with_attention) + (columns - 1) * 2 * kMargin + 2 * kMargin};
}

Image draw_sheet(const std::string& title, std::span<const SheetView> views) {
  const bool with_attention = std::ranges::any_of(views, [](const SheetView& v) { return !v.attention.empty(); });
  const SheetSize size = sheet_size(views.size(), with_attention);
  Image out(size.height, size.width);
  cv::Mat sheet(size.height, size.width, CV_8UC3, out.rgb.data());
  sheet = kPaper;
  draw_text(sheet, title, kMargin, 34, kLarge, kInk, size.width - 2 * kMargin);
  for (std::size_t i = 0; i < views.size(); ++i) {
    const auto column = static_cast<int>(i % kColumns), row = static_cast<int>(i / kColumns);
    draw_cell(sheet, views[i], kMargin + column * (cell_width(with_attention) + 2 * kMargin),
              kHead + kMargin + row * (kSheetPicture + kMargin), with_attention);
  }
  return out;
}

std::vector<float> mean_over_heads(std::span<const float> attention, std::uint32_t heads) {
  std::vector<float> mean(attention.size() / heads, 0);
  for (std::size_t i = 0; i < mean.size() * heads; ++i)
    mean[i % mean.size()] += attention[i] / static_cast<float>(heads);
  return mean;
}

std::vector<SheetView::Guess> best_guesses(std::span<const float> logits, const std::vector<std::string>& names,
                                           const std::vector<std::uint32_t>& labels, std::size_t count) {
  std::vector<std::uint32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0u);
  count = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::uint32_t a, std::uint32_t b) { return logits[a] > logits[b]; });
  if (count == 0) return {};
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - logits[order[0]]);
  std::vector<SheetView::Guess> guesses;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t k = order[i];
    guesses.push_back({k < names.size() ? names[k] : "class " + std::to_string(k),
                       std::exp(static_cast<double>(logits[k]) - logits[order[0]]) / sum,
                       std::ranges::find(labels, k) != labels.end()});
  }
  return guesses;
}

std::string mix_words(const Recipe& recipe) {
  if (recipe.mix == Mix::kNone) return "not mixed";
  return std::string(recipe.mix == Mix::kMixUp ? "MixUp" : "CutMix") + ", " +
         std::to_string(std::lround(100 * own_share(recipe))) + " % own";
}

}  // namespace vitrine
