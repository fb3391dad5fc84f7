// What a target's inputs begin with: numbers that choose among the golden files; and what targets share.
#ifndef VITRINE_TESTS_FUZZ_CASES_H_
#define VITRINE_TESTS_FUZZ_CASES_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace vitrine::testing {

struct PayloadCase {
  const char* name;  ///< of tests/golden/payloads
  std::uint32_t views;
};
/// Target `payload`: the first byte of an input, modulo their number, chooses one.
inline constexpr PayloadCase kPayloadCases[] = {{"steps", 3},   {"fine", 9},      {"own", 40},
                                                {"view64", 64}, {"view128", 128}, {"column", 50},
                                                {"single", 5},  {"kinds", 12},    {"coarse", 32}};

/// Target `encodings`: the first byte chooses the track whose group an input is. The group's arrays follow, each behind
/// its length (two bytes, little-endian), the last one up to the input's end.
inline constexpr const char* kEncodingCases[] = {"fp32.h5",    "fp16.h5", "int8.h5",     "sqrt8.h5",
                                                 "uniform.h5", "topk.h5", "transform.h5"};

/// Target `chunks`: the first byte chooses the container, the second one of its datasets, whose first chunk the rest of
/// the input replaces, behind right checksums; cut, or filled with zeros, to the chunk's size.
inline constexpr const char* kChunkCases[] = {"recipes.h5", "index.h5", "basis.h5"};

/// Target `records`: the first byte chooses the reader of a JSON text.
enum class RecordCase : std::uint8_t { kTrack, kPlan, kManifest, kShardLog, kIndexRecord };
inline constexpr std::size_t kRecordCases = 5;

/// Target `card`: the first byte chooses the form of the file beside weights.
enum class CardCase : std::uint8_t { kTimm, kTransformers, kPreprocessor, kOpenClip, kReadme };
inline constexpr std::size_t kCardCases = 5;

/// Target `run_files`: the first byte chooses the file of a run that the rest of the input is. kWeights: of its
/// metadata, a line "KEY VALUE" for each, without "vitrine."; kLog: metrics.jsonl, of which the second byte's steps are
/// kept.
enum class RunFileCase : std::uint8_t { kCheckpoint, kSummary, kWeights, kLog };
inline constexpr std::size_t kRunFileCases = 4;

/// Target `report`: the first byte chooses the file of a run that the rest of the input is.
enum class ReportCase : std::uint8_t { kMetrics, kSummary, kConfiguration, kEvaluation };
inline constexpr std::size_t kReportCases = 4;

/// Ends the program where it does not hold.
inline void expect(bool holds) {
  if (!holds) std::abort();
}

/// Whether the numbers are the same to the bit.
inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

/// Takes `size` bytes, or what is left, from the beginning of `rest`.
inline std::string_view take(std::string_view& rest, std::size_t size) {
  const std::string_view taken = rest.substr(0, size);
  rest.remove_prefix(taken.size());
  return taken;
}
/// Takes one byte; 0 when there is none.
inline std::uint8_t take_byte(std::string_view& rest) {
  const std::string_view taken = take(rest, 1);
  return taken.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(taken[0]);
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_FUZZ_CASES_H_
