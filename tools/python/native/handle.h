// What decoder.cpp and encoder.cpp share behind their C interfaces.
#ifndef VITRINE_TOOLS_NATIVE_HANDLE_H_
#define VITRINE_TOOLS_NATIVE_HANDLE_H_

#include <cstddef>
#include <cstdio>
#include <exception>
#include <memory>

#include "common/codec/transform/transform_codec.h"

struct vitrine_decoder {
  std::shared_ptr<const vitrine::FeatureBasis> basis;
  vitrine::TransformCodec codec;  // for decoding
};

/// Writes the problem's message, at most `message_capacity` bytes including the terminating zero.
inline void vitrine_tell(const std::exception& problem, char* message, std::size_t message_capacity) {
  std::snprintf(message, message_capacity, "%s", problem.what());
}

#endif  // VITRINE_TOOLS_NATIVE_HANDLE_H_
