#include "tools/commands/choose/candidate.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>

#include "common/base/error.h"

namespace vitrine {
namespace {

constexpr const char* kHeader = "arch,width,size,latency_ms,multiply_adds,parameters";
constexpr std::string_view kArchPrefix = "resnet";

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

bool parse_row(const std::string& line, CandidateCost& out) {
  const std::vector<std::string> cells = cells_of(line);
  double milliseconds = 0;
  if (cells.size() != 6 || !cells[0].starts_with(kArchPrefix) ||
      !parse_number(std::string_view(cells[0]).substr(kArchPrefix.size()), out.candidate.depth) ||
      !parse_number(cells[1], out.candidate.width) || !parse_number(cells[2], out.candidate.size) ||
      !parse_number(cells[3], milliseconds) || !parse_number(cells[4], out.multiply_adds) ||
      !parse_number(cells[5], out.parameters))
    return false;
  out.latency = milliseconds / 1e3;
  return std::isfinite(milliseconds) && milliseconds > 0;
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

std::string cost_csv(const std::vector<CandidateCost>& costs) {
  std::ostringstream out;
  out.precision(std::numeric_limits<double>::max_digits10);
  out << kHeader << '\n';
  for (const auto& [candidate, latency, multiply_adds, parameters] : costs)
    out << candidate.arch() << ',' << candidate.width << ',' << candidate.size << ',' << 1e3 * latency << ','
        << multiply_adds << ',' << parameters << '\n';
  return out.str();
}

std::vector<CandidateCost> parse_cost_csv(const std::string& csv, const std::string& where) {
  std::istringstream in(csv);
  std::vector<CandidateCost> out;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (number == 1) {
      if (line != kHeader) fail(where, ": line 1 is not \"", kHeader, "\"; make the table with --measure-only -o FILE");
      continue;
    }
    if (line.empty()) continue;
    CandidateCost row;
    if (!parse_row(line, row)) fail(where, ": line ", number, " is not ", kHeader, "; make the table again");
    if (std::ranges::any_of(out, [&](const CandidateCost& one) { return one.candidate == row.candidate; }))
      fail(where, ": line ", number, " repeats ", row.candidate.name(), "; remove one of them");
    out.push_back(row);
  }
  if (out.empty()) fail(where, ": holds no candidate; make the table with --measure-only -o FILE");
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
