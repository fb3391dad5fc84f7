// Groups of every encoding: arrays that no encoder made give floats or an Error, whatever their sizes, and the same
// from every body.
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/codec/isa.h"
#include "tests/faults/fuzz.h"
#include "tests/fuzz/cases.h"
#include "tests/fuzz/target.h"

namespace {

using namespace vitrine;
using namespace vitrine::testing;

struct DecodedGroup {
  std::string error;
  std::vector<float> values;
};

DecodedGroup decode(const StoredGroup& group, const std::vector<std::span<const std::byte>>& arrays, Isa isa) {
  const IsaOverride override(isa);
  DecodedGroup out{{}, std::vector<float>(group.values)};
  try {
    group.codec->decode(arrays, kViews, out.values);
  } catch (const Error& error) {
    out = {error.what(), {}};
  }
  return out;
}

std::vector<StoredGroup> make_groups() {
  const std::filesystem::path golden = VITRINE_GOLDEN;
  const Surroundings surroundings(golden);
  std::vector<StoredGroup> groups;
  for (const char* name : kEncodingCases) groups.push_back(stored_group(golden / name, surroundings.basis()));
  return groups;
}

}  // namespace

FUZZ_TARGET(encodings) {
  static const std::vector<StoredGroup> groups = make_groups();
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::size_t chosen = take_byte(rest) % groups.size();
  const StoredGroup& group = groups[chosen];
  std::vector<std::vector<std::byte>> arrays;  // each its own, so that a sanitizer sees the first byte after it
  for (std::size_t i = 0; i < group.arrays.size(); ++i) {
    std::size_t length = rest.size();
    if (i + 1 < group.arrays.size()) {
      length = take_byte(rest);
      length |= std::size_t{take_byte(rest)} << 8;
    }
    const std::string_view bytes = take(rest, length);
    arrays.emplace_back(reinterpret_cast<const std::byte*>(bytes.data()),
                        reinterpret_cast<const std::byte*>(bytes.data()) + bytes.size());
  }
  const std::vector<std::span<const std::byte>> spans(arrays.begin(), arrays.end());
  const DecodedGroup portable = decode(group, spans, Isa::kPortable), best = decode(group, spans, best_isa());
  if (portable.error != best.error) std::abort();
  // Products of the transform encoding may differ in their last bits.
  const bool exact = std::string_view(kEncodingCases[chosen]) != "transform.h5";
  if (exact && !same_bits(portable.values, best.values)) std::abort();
  return 0;
}
