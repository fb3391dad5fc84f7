// A fast scan of JSON objects without nesting: the lines of metrics.jsonl, of which a run may have millions.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_FLAT_JSON_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_FLAT_JSON_H_

#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>

namespace vitrine {

struct FlatValue {
  enum class Kind { kNumber, kText, kFlag, kNull } kind = Kind::kNull;
  double number = 0;      ///< kNumber, finite; kFlag: 0 or 1
  std::string_view text;  ///< kText; points into the line
};

namespace flat_json_internal {

/// Reads at the beginning of what is left of a line.
struct Cursor {
  std::string_view left;

  void skip_spaces() {
    while (!left.empty() && (left[0] == ' ' || left[0] == '\t' || left[0] == '\r')) left.remove_prefix(1);
  }
  bool take(char wanted) {
    skip_spaces();
    if (left.empty() || left[0] != wanted) return false;
    left.remove_prefix(1);
    return true;
  }
  bool take(std::string_view word) {
    if (!left.starts_with(word)) return false;
    left.remove_prefix(word.size());
    return true;
  }
  /// A string without escapes and control characters.
  bool take_text(std::string_view& out) {
    if (!take('"')) return false;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const auto c = static_cast<unsigned char>(left[i]);
      if (c == '\\' || c < 0x20) return false;
      if (c != '"') continue;
      out = left.substr(0, i);
      left.remove_prefix(i + 1);
      return true;
    }
    return false;
  }
  bool take_number(double& out) {
    if (left.empty() || (left[0] != '-' && (left[0] < '0' || left[0] > '9'))) return false;
    const auto [end, wrong] = std::from_chars(left.data(), left.data() + left.size(), out);
    if (wrong != std::errc() || !std::isfinite(out)) return false;
    left.remove_prefix(static_cast<std::size_t>(end - left.data()));
    return true;
  }
  bool take_value(FlatValue& out) {
    skip_spaces();
    if (left.empty()) return false;
    if (left[0] == '"') return out.kind = FlatValue::Kind::kText, take_text(out.text);
    if (take("null")) return out.kind = FlatValue::Kind::kNull, true;
    if (take("true")) return out = {FlatValue::Kind::kFlag, 1, {}}, true;
    if (take("false")) return out = {FlatValue::Kind::kFlag, 0, {}}, true;
    return out.kind = FlatValue::Kind::kNumber, take_number(out.number);
  }
};

}  // namespace flat_json_internal

/// Calls visit(key, value) for each member of the object that is the whole line. Returns false, possibly after some
/// calls, for a line that is no JSON object, is cut off, or has what only a full parser reads: nested values, escapes,
/// numbers beyond a double.
template <class Visit>
bool scan_flat_object(std::string_view line, const Visit& visit) {
  flat_json_internal::Cursor cursor{line};
  if (!cursor.take('{')) return false;
  if (!cursor.take('}')) {
    do {
      std::string_view key;
      FlatValue value;
      if (!cursor.take_text(key) || !cursor.take(':') || !cursor.take_value(value)) return false;
      visit(key, value);
    } while (cursor.take(','));
    if (!cursor.take('}')) return false;
  }
  cursor.skip_spaces();
  return cursor.left.empty();
}

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_FLAT_JSON_H_
