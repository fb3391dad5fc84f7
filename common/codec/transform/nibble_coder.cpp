#include "common/codec/transform/nibble_coder.h"

#include <cstring>

#include "common/codec/transform/blocks.h"

namespace vitrine::transform {
namespace {

template <class Number>
void append(std::vector<std::uint8_t>& bytes, Number value) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(&value);
  bytes.insert(bytes.end(), first, first + sizeof value);
}

}  // namespace

void NibbleEncoder::add(std::span<const std::uint8_t> packed, std::uint64_t bits, int level) {
  streams_.push_back({level, packed.data(), (bits + 3) / 4});
}

std::vector<std::uint8_t> NibbleEncoder::finish() {
  NibbleStates states;
  states.fill(kLowState);
  std::size_t nibbles = 0;
  for (const Stream& stream : streams_) nibbles += stream.count;
  // Filled from the end; at most one word per nibble.
  static thread_local std::vector<std::uint16_t> words;
  if (words.size() < nibbles + kStates) words.resize(nibbles + kStates);
  std::uint16_t* const end = words.data() + words.size();
  std::uint16_t* next = end;
  for (auto stream = streams_.rbegin(); stream != streams_.rend(); ++stream)
    blocks().code(nibble_model(stream->level), stream->packed, stream->count, states, next);
  std::vector<std::uint8_t> out;
  out.reserve(4 * kStates + static_cast<std::size_t>(end - next) * 2);
  for (const std::uint32_t state : states) append(out, state);
  const auto* first = reinterpret_cast<const std::uint8_t*>(next);
  out.insert(out.end(), first, first + (end - next) * 2);
  streams_.clear();
  return out;
}

NibbleDecoder::NibbleDecoder(std::span<const std::uint8_t> bytes)
    : next_(bytes.data() + 4 * kStates), end_(bytes.data() + bytes.size()) {
  std::memcpy(states_.data(), bytes.data(), 4 * kStates);
}

bool NibbleDecoder::take(std::uint64_t bits, int level, std::uint8_t* packed) {
  const NibbleModel& model = nibble_model(level);
  const std::size_t count = (bits + 3) / 4;
  for (std::size_t j = blocks().decode(model, count, states_, next_, end_, packed); j < count; ++j) {
    std::uint32_t& x = states_[j % kStates];
    const std::uint32_t slot = model.slots[x & kSlotMask];
    x = advanced(x, slot);
    if (x < kLowState) {
      if (end_ - next_ < 2) return false;
      std::uint16_t word;
      std::memcpy(&word, next_, sizeof word);
      next_ += 2;
      x = x << 16 | word;
    }
    packed[j / 2] = static_cast<std::uint8_t>(j % 2 == 0 ? slot & 15 : packed[j / 2] | (slot & 15) << 4);
  }
  return true;
}

bool NibbleDecoder::ends() const {
  if (next_ != end_) return false;
  for (const std::uint32_t state : states_)
    if (state != kLowState) return false;
  return true;
}

}  // namespace vitrine::transform
