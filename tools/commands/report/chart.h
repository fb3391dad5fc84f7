// Line charts as SVG: axes with ticks at round numbers, units, and lines that differ by colour and dash.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_CHART_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_CHART_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tools/commands/report/series.h"

namespace vitrine {

/// Lines differ up to here, by eight colours and four dashes; beyond, they repeat.
inline constexpr std::size_t kLineStyles = 32;

struct ChartLine {
  std::string label;
  std::size_t style = 0;           ///< of the stylesheet, modulo kLineStyles
  const Series* series = nullptr;  ///< not owned
  double factor = 1;               ///< y is multiplied by it: 100 for shares in per cent
  bool dots = false;               ///< a dot at each point, where they are few
  bool band = false;               ///< shades between the smallest and the largest value behind the mean
};

/// A stretch of x that is shaded, with its name.
struct ChartSpan {
  std::string label;
  double from = 0, to = 0;
};

/// A strip above the plot with the spans of one line, for lines whose spans differ.
struct ChartLane {
  std::string label;
  std::size_t style = 0;
  std::vector<ChartSpan> spans;
};

/// A ring around a point.
struct ChartMark {
  std::string label;  ///< shown when pointed at
  std::size_t style = 0;
  double x = 0, y = 0;
  bool named = false;  ///< the label stands beside it, too
};

struct Chart {
  std::string title, unit;
  std::vector<ChartLine> lines;  ///< those without points are left out
  std::vector<ChartSpan> spans;
  std::vector<ChartMark> marks;
  std::vector<ChartLane> lanes;
  std::optional<double> low, high;  ///< values that the y axis must include: 0, or 100 for a share of a whole
  bool logarithmic = false;         ///< y, if all values are positive and they span more than two decades
  bool legend = true;               ///< where there are several lines
  std::string x_title = "step";
};

/// A <figure> with title, legend and the SVG, which has role="img" and says in words what it shows. Empty if no line
/// has a point.
std::string chart_html(const Chart& chart);

/// The same drawing as a separate file, with colours and type, title and unit; no legend. Empty if no line has a
/// point.
std::string chart_svg(const Chart& chart);

/// <ul> of the lines' labels with samples of their colour and dash.
std::string legend_html(const std::vector<ChartLine>& lines);

/// Round numbers (1, 2 or 5 times a power of ten) that divide [low, high] in about `wanted` parts: those inside.
std::vector<double> round_ticks(double low, double high, int wanted);

/// A number beside an axis: "0.25", "20k", "1.5M", "3e-5".
std::string tick_words(double value, double step);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_CHART_H_
