#include "tools/commands/report/html.h"

#include <algorithm>
#include <cstdint>

#include "common/base/error.h"
#include "common/base/utf8.h"

namespace vitrine {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the character that begins here; 0: not UTF-8.
std::size_t character_bytes(std::string_view words) {
  const auto first = static_cast<unsigned char>(words[0]);
  const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return length <= words.size() && is_utf8(words.substr(0, length)) ? length : 0;
}

// Of XML 1.0: no control characters but tab, line feed and carriage return, no U+FFFE and U+FFFF.
bool is_allowed(std::string_view character) {
  if (character.size() == 1) {
    const char c = character[0];
    return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) || c == '\t' || c == '\n' || c == '\r';
  }
  return character != "\xEF\xBF\xBE" && character != "\xEF\xBF\xBF";
}

const char* class_of(Cell::Kind kind) {
  switch (kind) {
    case Cell::Kind::kNumber:
      return "n";
    case Cell::Kind::kShort:
      return "r";
    case Cell::Kind::kSentence:
      return "w";
    default:
      return "";
  }
}

std::string cell_html(const Cell& cell, const char* tag, const char* scope) {
  std::string css = class_of(cell.kind);
  if (cell.best) css += css.empty() ? "best" : " best";
  std::string out = text('<', tag, scope);
  if (!css.empty()) out += " class=\"" + css + "\"";
  return out + ">" + cell.html + "</" + tag + ">";
}

std::string caption_html(const std::string& caption) {
  return caption.empty() ? "" : "<p class=\"soft\">" + caption + "</p>\n";
}

}  // namespace

std::string escaped(std::string_view words) {
  std::string out;
  out.reserve(words.size());
  while (!words.empty()) {
    const std::size_t length = character_bytes(words);
    const std::string_view character = words.substr(0, std::max<std::size_t>(length, 1));
    words.remove_prefix(character.size());
    if (length == 0 || !is_allowed(character))
      out += kReplacement;
    else if (character == "&")
      out += "&amp;";
    else if (character == "<")
      out += "&lt;";
    else if (character == ">")
      out += "&gt;";
    else if (character == "\"")
      out += "&quot;";
    else if (character == "'")
      out += "&#39;";
    else
      out += character;
  }
  return out;
}

std::string shortened(const std::string& words, std::size_t most) {
  std::size_t characters = 0, cut = 0;
  for (std::size_t at = 0; at < words.size(); ++characters) {
    if (characters + 1 == most) cut = at;
    at += std::max<std::size_t>(character_bytes(std::string_view(words).substr(at)), 1);
  }
  return characters <= most ? words : words.substr(0, cut) + "\u2026";
}

std::string breakable(const std::string& words) {
  std::string out;
  for (std::size_t at = 0, end; at < words.size(); at = end) {
    end = std::min(words.find_first_of("_-/.", at), words.size() - 1) + 1;
    out += escaped(std::string_view(words).substr(at, end - at));
    if (end < words.size()) out += "<wbr/>";
  }
  return out;
}

std::string Table::html() const {
  return caption_html(caption) + box(0, rows.size());
}

std::string Table::html_in_columns(std::size_t most) const {
  constexpr std::size_t kFewest = 4;  // rows of a column
  const std::size_t count = std::clamp<std::size_t>(rows.size() / kFewest, 1, most);
  std::string out = caption_html(caption) + "<div class=\"columns" + (most > 2 ? " narrow" : "") + "\">\n";
  for (std::size_t i = 0; i < count; ++i) {
    const auto bound = [&](std::size_t column) { return (column * rows.size() + count - 1) / count; };
    out += box(bound(i), bound(i + 1));
  }
  return out + "</div>\n";
}

std::string Table::box(std::size_t first, std::size_t last) const {
  std::string out = "<div class=\"scroll\" tabindex=\"0\"><table>";
  if (!head.empty()) {
    out += "<thead><tr>";
    for (const Cell& cell : head) out += cell_html(cell, "th", " scope=\"col\"");
    out += "</tr></thead>";
  }
  out += "<tbody>";
  for (std::size_t r = first; r < last; ++r) {
    const std::vector<Cell>& row = rows[r];
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i)
      out += i == 0 ? cell_html(row[i], "th", " scope=\"row\"") : cell_html(row[i], "td", "");
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string paragraph(const std::string& words, const char* css_class) {
  const std::string css = css_class;
  return (css.empty() ? "<p>" : "<p class=\"" + css + "\">") + escaped(words) + "</p>\n";
}

}  // namespace vitrine
