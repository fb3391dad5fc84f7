// UTF-8 validation.
#ifndef VITRINE_COMMON_BASE_UTF8_H_
#define VITRINE_COMMON_BASE_UTF8_H_

#include <string_view>

namespace vitrine {

/// UTF-8 per RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_UTF8_H_
