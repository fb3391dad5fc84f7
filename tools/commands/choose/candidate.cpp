#include "tools/commands/choose/candidate.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>

#include "common/base/counted.h"
#include "common/base/error.h"

namespace vitrine {
namespace {

constexpr const char* kCostHeader = "arch,width,size,latency_ms,multiply_adds,parameters";
constexpr const char* kMeasuredHeader = ",device,runtime,threads,precision";
constexpr std::size_t kCostCells = 6, kCells = 10;
constexpr std::string_view kArchPrefix = "resnet";

// A cell has no comma and is on one line.
std::string cell_of(std::string words) {
  std::ranges::replace_if(
      words, [](char c) { return c == ',' || c == '\n' || c == '\r'; }, ' ');
  return words;
}

// The whole of `words` as a number; false if it is none.
template <class Number>
bool parse_number(std::string_view words, Number& out) {
  const auto [end, failure] = std::from_chars(words.data(), words.data() + words.size(), out);
  return failure == std::errc{} && end == words.data() + words.size();
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) out.push_back(cell);
  return out;
}

bool parse_row(const std::vector<std::string>& cells, CandidateCost& out) {
  double milliseconds = 0;
  if (!cells[0].starts_with(kArchPrefix) ||
      !parse_number(std::string_view(cells[0]).substr(kArchPrefix.size()), out.candidate.depth) ||
      !parse_number(cells[1], out.candidate.width) || !parse_number(cells[2], out.candidate.size) ||
      !parse_number(cells[3], milliseconds) || !parse_number(cells[4], out.multiply_adds) ||
      !parse_number(cells[5], out.parameters))
    return false;
  out.latency = milliseconds / 1e3;
  return std::isfinite(milliseconds) && milliseconds > 0;
}

bool parse_measured(const std::vector<std::string>& cells, MeasuredOn& out) {
  out.device = cells[6], out.runtime = cells[7], out.precision = cells[9];
  return !out.device.empty() && parse_number(cells[8], out.threads);
}

}  // namespace

std::string Candidate::arch() const {
  return text(kArchPrefix, depth);
}

std::string Candidate::name() const {
  return text(arch(), width == 64 ? "" : text("-w", width), '-', size);
}

std::vector<Candidate> candidates_of(const std::vector<std::uint32_t>& depths, const std::vector<std::uint32_t>& widths,
                                     const std::vector<std::uint32_t>& sizes) {
  std::vector<Candidate> out;
  for (const std::uint32_t depth : depths)
    for (const std::uint32_t width : widths)
      for (const std::uint32_t size : sizes) out.push_back({depth, width, size});
  return out;
}

std::string MeasuredOn::describe() const {
  if (device.empty()) return "unknown (the table does not say)";
  return text(runtime, ", ", precision, ", ", counted(threads, "thread"), " of ", device);
}

std::vector<std::uint32_t> usual_sizes(std::uint32_t side) {
  constexpr std::uint32_t kStep = 32;
  std::vector<std::uint32_t> out;
  for (const std::uint32_t sevenths : {4, 5}) {
    const std::uint32_t size = (side * sevenths / 7 + kStep / 2) / kStep * kStep;
    if (size >= kStep && size < side && (out.empty() || out.back() != size)) out.push_back(size);
  }
  out.push_back(side);
  return out;
}

std::string cost_csv(const CostTable& table) {
  std::ostringstream out;
  out.precision(std::numeric_limits<double>::max_digits10);
  out << kCostHeader << kMeasuredHeader << '\n';
  for (const auto& [candidate, latency, multiply_adds, parameters] : table.costs)
    out << candidate.arch() << ',' << candidate.width << ',' << candidate.size << ',' << 1e3 * latency << ','
        << multiply_adds << ',' << parameters << ',' << cell_of(table.on.device) << ',' << table.on.runtime << ','
        << table.on.threads << ',' << table.on.precision << '\n';
  return out.str();
}

CostTable parse_cost_csv(const std::string& csv, const std::string& where) {
  const std::string full = text(kCostHeader, kMeasuredHeader);
  std::istringstream in(csv);
  CostTable out;
  std::string header;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (number == 1) {
      header = line;
      if (header != full && header != kCostHeader)
        fail(where, ": line 1 is not \"", full, "\"; make the table with --measure-only -o FILE");
      continue;
    }
    if (line.empty()) continue;
    CandidateCost row;
    MeasuredOn on;
    const std::vector<std::string> cells = cells_of(line);
    if (cells.size() != (header == full ? kCells : kCostCells) || !parse_row(cells, row) ||
        (header == full && !parse_measured(cells, on)))
      fail(where, ": line ", number, " is not ", header, "; make the table again");
    if (!out.costs.empty() && !(on == out.on))
      fail(where, ": line ", number, " was measured on ", on.describe(), ", those before on ", out.on.describe(),
           "; give a table of one machine and runtime");
    out.on = on;
    if (std::ranges::any_of(out.costs, [&](const CandidateCost& one) { return one.candidate == row.candidate; }))
      fail(where, ": line ", number, " repeats ", row.candidate.name(), "; remove one of them");
    out.costs.push_back(row);
  }
  if (out.costs.empty()) fail(where, ": holds no candidate; make the table with --measure-only -o FILE");
  return out;
}

double parse_duration(const std::string& words, const std::string& option) {
  std::string_view number = words;
  double unit = 1e-3;
  if (number.ends_with("ms"))
    number.remove_suffix(2);
  else if (number.ends_with('s'))
    number.remove_suffix(1), unit = 1;
  double value = 0;
  if (!parse_number(number, value) || !std::isfinite(value) || !(value > 0))
    fail(option, " ", words, " is not a duration; expected for instance 5ms or 0.2s");
  return value * unit;
}

}  // namespace vitrine
