#include "tools/commands/report/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "tools/commands/report/html.h"
#include "tools/commands/report/stylesheet.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

// Of the viewBox. A column of the page is about as wide, so that the type is neither tiny nor large.
constexpr double kWidth = 460, kHeight = 236, kTop = 18, kBottom = 34, kRight = 18, kCharacter = 7, kLane = 6;
constexpr std::size_t kMostDots = 60;

// A coordinate: one decimal, trailing ".0" avoided.
std::string coordinate(double value) {
  std::string out = decimals(value, 1);
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out;
}

// Classes of the stylesheet: a colour, and a colour with a dash.
std::string colour_class(std::size_t style) {
  return text("c", style % 8);
}

std::string style_classes(std::size_t style) {
  return text(colour_class(style), " d", (style + style / 8) % 4);
}

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

/// One axis: from values to coordinates.
struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  bool logarithmic = false;
  std::vector<double> ticks;
  std::vector<std::string> words;

  double at(double value) const {
    const double share =
        logarithmic ? std::log(std::max(value, low) / low) / std::log(high / low) : (value - low) / (high - low);
    return from + std::clamp(share, 0.0, 1.0) * (to - from);
  }
};

Axis linear_axis(Extent range, int wanted, bool ends_at_ticks) {
  if (range.high - range.low <= 1e-12 * std::max(std::abs(range.low), std::abs(range.high))) {
    const double around = range.low == 0 ? 1 : std::abs(range.low) / 2;
    range = {range.low - (range.low == 0 ? 0 : around), range.high + around};
  }
  Axis axis;
  axis.ticks = round_ticks(range.low, range.high, wanted);
  const double step = axis.ticks.size() > 1 ? axis.ticks[1] - axis.ticks[0] : range.high - range.low;
  axis.low = range.low, axis.high = range.high;
  if (ends_at_ticks) {
    axis.low = std::floor(range.low / step + 1e-9) * step;
    axis.high = std::ceil(range.high / step - 1e-9) * step;
    axis.ticks = round_ticks(axis.low, axis.high, static_cast<int>(std::lround((axis.high - axis.low) / step)));
  }
  for (const double tick : axis.ticks) axis.words.push_back(tick_words(tick, step));
  return axis;
}

Axis logarithmic_axis(const Extent& range) {
  Axis axis;
  axis.logarithmic = true;
  axis.low = range.low, axis.high = range.high;
  const double decades = std::log10(range.high / range.low);
  const int every = static_cast<int>(std::ceil(decades / 6));
  for (int power = static_cast<int>(std::floor(std::log10(range.low))); std::pow(10, power) <= range.high; ++power)
    if (const double tick = std::pow(10, power); tick >= range.low && power % every == 0) {
      axis.ticks.push_back(tick);
      axis.words.push_back(number_words(tick));
    }
  return axis;
}

class Drawing {
 public:
  explicit Drawing(const Chart& chart) : chart_(chart) {
    for (const ChartLine& line : chart.lines)
      if (line.series != nullptr && !line.series->empty()) lines_.push_back(&line);
    if (!lines_.empty()) make_axes();
  }

  bool empty() const { return lines_.empty(); }

  std::string html() const {
    std::string out = "<figure class=\"chart\"><figcaption><b>" + escaped(chart_.title) + "</b>";
    if (!chart_.unit.empty())
      out += " <span>" + escaped(chart_.unit) + (y_.logarithmic ? ", logarithmic" : "") + "</span>";
    out += "</figcaption>";
    if (chart_.legend && lines_.size() > 1) {
      std::vector<ChartLine> shown;
      for (const ChartLine* line : lines_) shown.push_back(*line);
      out += legend_html(shown);
    }
    out +=
        text("<svg viewBox=\"0 0 ", kWidth, ' ', kHeight, "\" role=\"img\" aria-label=\"", escaped(in_words()), "\">");
    return out + drawing() + "</svg></figure>\n";
  }

  // Title and unit stand where a page has its phases' names.
  std::string file() const {
    std::string out = text("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 ", kWidth, ' ',
                           kHeight, "\" width=\"", 2 * kWidth, "\" role=\"img\" aria-label=\"", escaped(in_words()),
                           "\"><style>", kStylesheet, "svg { background: var(--paper); }</style>");
    out += text("<text x=\"4\" y=\"12\">", escaped(chart_.title), chart_.unit.empty() ? "" : ", ", escaped(chart_.unit),
                "</text>");
    return out + drawing() + "</svg>\n";
  }

 private:
  void make_axes() {
    Extent x, mean, all;
    double positive = std::numeric_limits<double>::infinity();
    for (const ChartLine* line : lines_)
      for (const Bucket& bucket : line->series->buckets()) {
        x.take(bucket.first_x), x.take(bucket.last_x);
        mean.take(bucket.mean() * line->factor);
        all.take(bucket.low * line->factor), all.take(bucket.high * line->factor);
        positive = std::min(positive, bucket.mean() * line->factor);
      }
    for (const ChartMark& mark : chart_.marks) mean.take(mark.y), x.take(mark.x);
    // A few outliers must not flatten the curve: the band is cut off where it leaves the means far behind.
    const double room = 0.35 * (mean.high - mean.low);
    const bool banded = std::ranges::any_of(lines_, [](const ChartLine* line) { return line->band; });
    Extent y = mean;
    if (banded) y.take(std::max(all.low, mean.low - room)), y.take(std::min(all.high, mean.high + room));
    if (chart_.low) y.take(*chart_.low);
    if (chart_.high) y.take(*chart_.high);
    const bool logarithmic = chart_.logarithmic && positive > 0 && mean.high / mean.low > 100;
    y_ = logarithmic ? logarithmic_axis(mean) : linear_axis(y, 5, true);
    x_ = linear_axis({std::min(x.low, 0.0), x.high}, 5, false);
    std::size_t widest = 1;
    for (const std::string& words : y_.words) widest = std::max(widest, words.size());
    x_.from = 12 + kCharacter * static_cast<double>(widest), x_.to = kWidth - kRight;
    y_.from = kHeight - kBottom, y_.to = top();
  }

  std::string in_words() const {
    std::string out = text(chart_.title, chart_.unit.empty() ? "" : ", " + chart_.unit, ", by ", chart_.x_title, ". ");
    for (const ChartSpan& span : chart_.spans)
      out += text("Phase ", span.label, " from ", tick_words(span.from, 0), " to ", tick_words(span.to, 0), ". ");
    for (const ChartLine* line : lines_) {
      const std::vector<Bucket>& buckets = line->series->buckets();
      out += text(line->label, ": ", number_words(buckets.front().mean() * line->factor), " at ",
                  tick_words(buckets.front().x(), 0), buckets.size() > 1 ? ", " : "");
      if (buckets.size() > 1)
        out += text(number_words(buckets.back().mean() * line->factor), " at ", tick_words(buckets.back().x(), 0));
      out += ". ";
    }
    out.pop_back();
    return out;
  }

  std::string drawing() const { return spans() + lanes() + axes() + curves() + marks(); }

  std::string spans() const {
    std::string out;
    for (std::size_t i = 0; i < chart_.spans.size(); ++i) {
      const ChartSpan& span = chart_.spans[i];
      const double from = x_.at(span.from), width = x_.at(span.to) - from;
      out += text("<rect class=\"phase", i % 2 == 0 ? "" : " odd", "\" x=\"", coordinate(from), "\" y=\"", top(),
                  "\" width=\"", coordinate(std::max(width, 0.0)), "\" height=\"", y_.from - top(), "\"><title>",
                  escaped(span.label), "</title></rect>");
      if (width > kCharacter * static_cast<double>(span.label.size()))
        out += text("<text class=\"phase\" x=\"", coordinate(from + 3), "\" y=\"", top() - 5, "\">",
                    escaped(span.label), "</text>");
    }
    return out;
  }

  // The upper end of the plot.
  double top() const { return kTop + kLane * static_cast<double>(chart_.lanes.size()); }

  std::string lanes() const {
    std::string out;
    for (std::size_t i = 0; i < chart_.lanes.size(); ++i) {
      const ChartLane& lane = chart_.lanes[i];
      for (std::size_t s = 0; s < lane.spans.size(); ++s) {
        const ChartSpan& span = lane.spans[s];
        const double from = x_.at(span.from), width = std::max(x_.at(span.to) - from, 0.0);
        out += text("<rect class=\"lane ", colour_class(lane.style), s % 2 == 0 ? "" : " odd", "\" x=\"",
                    coordinate(from), "\" y=\"", coordinate(kTop - 6 + kLane * static_cast<double>(i)), "\" width=\"",
                    coordinate(width), "\" height=\"", kLane - 1.5, "\"><title>",
                    escaped(text(lane.label, ", ", span.label)), "</title></rect>");
      }
    }
    return out;
  }

  std::string axes() const {
    std::string grid, words;
    for (std::size_t i = 0; i < y_.ticks.size(); ++i) {
      const std::string y = coordinate(y_.at(y_.ticks[i]));
      grid += text("M", coordinate(x_.from), ' ', y, "H", coordinate(x_.to));
      words += text("<text class=\"y\" x=\"", coordinate(x_.from - 6), "\" y=\"", coordinate(y_.at(y_.ticks[i]) + 4.5),
                    "\">", y_.words[i], "</text>");
    }
    std::string ticks;
    for (std::size_t i = 0; i < x_.ticks.size(); ++i) {
      const double x = x_.at(x_.ticks[i]);
      ticks += text("M", coordinate(x), ' ', coordinate(y_.from), "v4");
      words += text("<text class=\"x\" x=\"", coordinate(x), "\" y=\"", coordinate(y_.from + 17), "\">", x_.words[i],
                    "</text>");
    }
    words += text("<text class=\"end\" x=\"", coordinate(x_.to), "\" y=\"", coordinate(kHeight - 3), "\">",
                  escaped(chart_.x_title), "</text>");
    return "<path class=\"grid\" d=\"" + grid + "\"/><path class=\"axis\" d=\"" +
           text("M", coordinate(x_.from), ' ', coordinate(y_.from), "H", coordinate(x_.to)) + ticks + "\"/>" + words;
  }

  std::string curves() const {
    std::string out;
    for (const ChartLine* line : lines_)
      if (line->band && line->series->count() > line->series->buckets().size()) out += band(*line);
    for (const ChartLine* line : lines_) out += curve(*line);
    return out;
  }

  std::string band(const ChartLine& line) const {
    const std::vector<Bucket>& buckets = line.series->buckets();
    std::string path;
    for (const Bucket& bucket : buckets) path += point(path, bucket.x(), bucket.high * line.factor);
    for (auto bucket = buckets.rbegin(); bucket != buckets.rend(); ++bucket)
      path += point(path, bucket->x(), bucket->low * line.factor);
    return text("<path class=\"band ", colour_class(line.style), "\" d=\"", path, "Z\"/>");
  }

  std::string curve(const ChartLine& line) const {
    const std::vector<Bucket>& buckets = line.series->buckets();
    std::string path, dots;
    for (const Bucket& bucket : buckets) path += point(path, bucket.x(), bucket.mean() * line.factor);
    if ((line.dots && buckets.size() <= kMostDots) || buckets.size() == 1)
      for (const Bucket& bucket : buckets)
        dots += text("<circle cx=\"", coordinate(x_.at(bucket.x())), "\" cy=\"",
                     coordinate(y_.at(bucket.mean() * line.factor)), "\" r=\"2\"/>");
    if (!dots.empty()) dots = text("<g class=\"dots ", colour_class(line.style), "\">", dots, "</g>");
    return text("<path class=\"line ", style_classes(line.style), "\" d=\"", path, "\"><title>", escaped(line.label),
                "</title></path>", dots);
  }

  std::string point(const std::string& path, double x, double y) const {
    return (path.empty() ? "M" : "L") + coordinate(x_.at(x)) + " " + coordinate(y_.at(y));
  }

  std::string marks() const {
    std::string out;
    for (const ChartMark& mark : chart_.marks)
      out += text("<circle class=\"mark ", colour_class(mark.style), "\" cx=\"", coordinate(x_.at(mark.x)), "\" cy=\"",
                  coordinate(y_.at(mark.y)), "\" r=\"5\"><title>", escaped(mark.label), "</title></circle>",
                  mark.named ? name_of(mark) : "");
    return out;
  }

  // On the side that has room.
  std::string name_of(const ChartMark& mark) const {
    const double x = x_.at(mark.x), wide = kCharacter * static_cast<double>(mark.label.size());
    const bool left = x + 8 + wide > kWidth;
    return text("<text", left ? " class=\"end\"" : "", " x=\"", coordinate(left ? x - 8 : x + 8), "\" y=\"",
                coordinate(y_.at(mark.y) + 4), "\">", escaped(mark.label), "</text>");
  }

  const Chart& chart_;
  std::vector<const ChartLine*> lines_;
  Axis x_, y_;
};

}  // namespace

std::vector<double> round_ticks(double low, double high, int wanted) {
  if (!(high > low) || wanted < 1) return {low};
  const double rough = (high - low) / wanted, power = std::pow(10, std::floor(std::log10(rough)));
  const double parts = rough / power;
  const double step = power * (parts < 1.5 ? 1 : parts < 3.5 ? 2 : parts < 7.5 ? 5 : 10);
  std::vector<double> out;
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double i = first; i <= last; ++i) out.push_back(i == 0 ? 0 : i * step);
  return out;
}

std::string tick_words(double value, double step) {
  const double size = std::abs(value);
  if (value == 0) return "0";
  if (size >= 1e6) return significant(value / 1e6, 4) + "M";
  if (size >= 1e4) return significant(value / 1e3, 4) + "k";
  if (size < 1e-3) return significant(value, 2);
  if (step <= 0 || step >= 1) return significant(value, 6);
  return decimals(value, std::min(6, static_cast<int>(std::ceil(-std::log10(step) - 1e-9))));
}

std::string legend_html(const std::vector<ChartLine>& lines) {
  std::string out = "<ul class=\"legend\">";
  for (const ChartLine& line : lines)
    out += text("<li><svg viewBox=\"0 0 30 10\" aria-hidden=\"true\"><path class=\"line ", style_classes(line.style),
                "\" d=\"M1 5H29\"/></svg>", escaped(line.label), "</li>");
  return out + "</ul>\n";
}

std::string chart_html(const Chart& chart) {
  const Drawing drawing(chart);
  return drawing.empty() ? "" : drawing.html();
}

std::string chart_svg(const Chart& chart) {
  const Drawing drawing(chart);
  return drawing.empty() ? "" : drawing.file();
}

}  // namespace vitrine
