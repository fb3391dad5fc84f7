// Pieces of an HTML page that is also well-formed XML.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_HTML_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_HTML_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine {

/// Any bytes as text or as the value of an attribute: &, <, >, " and ' are escaped; bytes that are not UTF-8 and
/// characters that XML does not allow become U+FFFD.
std::string escaped(std::string_view words);

/// At most `most` characters (code points), the last one an ellipsis if any was cut. Not escaped.
std::string shortened(const std::string& words, std::size_t most);

/// Escaped words that may break into lines behind '_', '-', '/' and '.': names of runs and paths.
std::string breakable(const std::string& words);

/// A cell of a table; numbers and short texts are aligned to the right, sentences have room for a few words a line.
struct Cell {
  std::string html;  ///< escaped already
  enum class Kind {
    kText,
    kNumber,
    kShort,
    kSentence
  } kind = Kind::kText;  ///< kNumber: figures of equal width, in one line
  bool best = false;     ///< marked as the best of its row
};

/// A table that scrolls sideways in its own box. The first cell of each row is the row's heading. `caption`: a
/// line above it that does not scroll; escaped already, may be empty.
struct Table {
  std::string caption;
  std::vector<Cell> head;
  std::vector<std::vector<Cell>> rows;

  std::string html() const;
  /// The rows in at most `most` tables beside each other where the screen has room, with the heads above each.
  std::string html_in_columns(std::size_t most) const;

 private:
  std::string box(std::size_t first, std::size_t last) const;
};

/// "<p>...</p>" of escaped words.
std::string paragraph(const std::string& words, const char* css_class = "");

/// A section of the page with its heading.
struct Section {
  std::string id, title, html;
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_HTML_H_
