// Counter-based random numbers: a draw is a pure function of (key, counter), so a view depends only on its seed and its
// position. Philox4x32-10, J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#ifndef VITRINE_COMMON_BASE_PHILOX_H_
#define VITRINE_COMMON_BASE_PHILOX_H_

#include <array>
#include <cstdint>

namespace vitrine {

/// One block: 128 random bits from a 64-bit key and a 128-bit counter.
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key, std::array<std::uint32_t, 4> counter) {
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = 0xD2511F53ull * counter[0];
    const std::uint64_t b = 0xCD9E8D57ull * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(a)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

/// What a stream is used for. Streams of different purposes never share a counter. The numbers must never change.
enum class Purpose : std::uint32_t {
  kPassOrder = 1,     ///< the permutation of the index in a pass
  kCrop = 2,          ///< crop and flip of a view
  kMix = 3,           ///< mixing mode, λ, box of a view
  kEpochOrder = 4,    ///< the order of groups in an epoch
  kPassChoice = 5,    ///< the order in which epochs use the stored passes
  kJitter = 6,        ///< the student's colour jitter
  kErase = 7,         ///< the student's random erasing
  kFeatureNoise = 8,  ///< noise on teacher features
  kWeights = 9,       ///< initial weights
  kSample = 10,       ///< samples of a dataset, for instance to check a teacher
  kDrawing = 11,      ///< the demo's pictures
};

/// Random stream at one position. Cheap to construct (no state but its counter); not thread-safe.
class RandomStream {
 public:
  /// `major` and `minor` are the position: (pass, position), (epoch, 0), ... A stream holds 2^32 blocks.
  RandomStream(std::uint64_t seed, Purpose purpose, std::uint32_t major = 0, std::uint64_t minor = 0)
      : key_(seed ^ (static_cast<std::uint64_t>(purpose) * 0x9E3779B97F4A7C15ull)),
        major_(major),
        minor_low_(static_cast<std::uint32_t>(minor)),
        minor_high_(static_cast<std::uint32_t>(minor >> 32)) {}

  /// 32 random bits.
  std::uint32_t bits() {
    if (used_ == 4) {
      block_ = philox(key_, {next_++, major_, minor_low_, minor_high_});
      used_ = 0;
    }
    return block_[used_++];
  }
  /// Uniform in [0, 1), 53 bits.
  double uniform() {
    const std::uint64_t high = bits() >> 5, low = bits() >> 6;
    return static_cast<double>(high * 67108864ull + low) * 0x1p-53;
  }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [0, n), n ≥ 1, without bias (rejection on 64 bits).
  std::uint64_t below(std::uint64_t n) {
    const std::uint64_t limit = ~0ull - (~0ull % n + 1) % n;
    for (;;) {
      const std::uint64_t high = bits();
      const std::uint64_t draw = high << 32 | bits();
      if (draw <= limit) return draw % n;
    }
  }
  /// Standard normal (Box-Muller, the cosine half).
  double normal();
  /// Gamma(shape, 1), shape > 0 (Marsaglia and Tsang 2000).
  double gamma(double shape);
  /// Beta(a, b), a and b > 0.
  double beta(double a, double b);

 private:
  std::uint64_t key_;
  std::uint32_t major_, minor_low_, minor_high_;
  std::uint32_t next_ = 0;
  int used_ = 4;
  std::array<std::uint32_t, 4> block_{};
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_PHILOX_H_
