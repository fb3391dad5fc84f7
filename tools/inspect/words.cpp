#include "tools/inspect/words.h"

#include <algorithm>
#include <iostream>

#include "common/base/digits.h"

namespace vitrine {
namespace {

// Number of UTF-8 characters: counts all but continuation bytes.
std::size_t width(const std::string& cell) {
  return static_cast<std::size_t>(std::ranges::count_if(cell, [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string table_words(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return {};
  std::vector<std::size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line.append("  ").append(row[i]);
      if (i + 1 < row.size()) line.append(widths[i] - width(row[i]), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::cout << table_words(rows);
}

std::string shape_words(const std::vector<std::uint32_t>& shape) {
  std::string words;
  for (const std::uint32_t axis : shape) words += (words.empty() ? "" : "x") + std::to_string(axis);
  return words;
}

std::string range_words(const std::vector<std::uint32_t>& numbers) {
  std::string words;
  for (std::size_t i = 0, last; i < numbers.size(); i = last + 1) {
    last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!words.empty()) words += ", ";
    words += std::to_string(numbers[i]);
    if (last > i) words.append("-").append(std::to_string(numbers[last]));
  }
  return words.empty() ? "none" : words;
}

std::string number_words(double number) {
  return significant(number, 3);
}

}  // namespace vitrine
