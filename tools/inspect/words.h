// Formatting shared by the programs that describe a cache.
#ifndef VITRINE_TOOLS_INSPECT_WORDS_H_
#define VITRINE_TOOLS_INSPECT_WORDS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vitrine {

/// Rows with equal numbers of cells as columns, a line each, indented by two spaces. Cells are UTF-8.
std::string table_words(const std::vector<std::vector<std::string>>& rows);

/// Prints table_words() to standard output; the first row is the heading.
void print_table(const std::vector<std::vector<std::string>>& rows);

/// "768x14x14".
std::string shape_words(const std::vector<std::uint32_t>& shape);

/// Ascending numbers as "0-4, 7"; "none" when there are none.
std::string range_words(const std::vector<std::uint32_t>& numbers);

/// Three significant digits: "0.00123", "12.3", "1.2e-05".
std::string number_words(double number);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_WORDS_H_
