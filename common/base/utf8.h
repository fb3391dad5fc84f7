// Text in UTF-8: validation, and lengths in characters.
#ifndef VITRINE_COMMON_BASE_UTF8_H_
#define VITRINE_COMMON_BASE_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace vitrine {

/// UTF-8 per RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

/// The first `bytes` bytes of `line`, without the beginning of a character of several bytes at the end.
std::string cut_at_character(std::string line, std::size_t bytes);

/// `word` followed by spaces, to `width` characters. A longer one stays as it is.
std::string padded(std::string word, std::size_t width);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_UTF8_H_
