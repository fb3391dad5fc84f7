// The decoding error of all codecs. Private to this room.
#ifndef VITRINE_COMMON_CODEC_FAIL_DECODING_H_
#define VITRINE_COMMON_CODEC_FAIL_DECODING_H_

#include <string>

#include "common/base/error.h"

namespace vitrine {

/// Throws an Error of kind kCorrupt; `what` says what is wrong with the stored arrays. Readers add file and group.
[[noreturn]] inline void fail_decoding(const std::string& what) {
  throw Error(ErrorKind::kCorrupt, {.what = "decoding: " + what});
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_FAIL_DECODING_H_
