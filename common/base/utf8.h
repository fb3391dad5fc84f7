// Whether bytes are text.
#ifndef VITRINE_COMMON_BASE_UTF8_H_
#define VITRINE_COMMON_BASE_UTF8_H_

#include <string_view>

namespace vitrine {

/// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_UTF8_H_
