// The calibrated model of a feature track's transform codec: the mean map, the Karhunen-Loève basis over channels,
// optionally one over rows and one over columns of the map, and the usual size of each coefficient. Only integers steer
// the decoder, so a payload decodes alike on every machine; floats only scale values.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_BASIS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_BASIS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrine {

/// x [C, H, W] -> y = vectors · (x − mean) over channels, then y <- rows · y · columnsᵀ for each channel if rows is
/// given. All three are orthonormal, so squared errors of coefficients are squared errors of features.
struct FeatureBasis {
  static constexpr std::size_t kLevels = 512;  ///< size of `expected`
  static constexpr int kPerOctave = 16;        ///< resolution of `scale` and `expected`

  std::uint32_t channels = 0, height = 0, width = 0;
  std::uint64_t views = 0;         ///< used for calibration
  std::vector<float> mean;         ///< [C, H, W]
  std::vector<float> vectors;      ///< [C, C]: row k is the k-th eigenvector, by descending eigenvalue
  std::vector<float> eigenvalues;  ///< [C]: mean square along each eigenvector
  /// [H, H] and [W, W], one basis vector per row; both empty: no transform over positions
  std::vector<float> rows, columns;
  std::vector<std::int16_t> scale;  ///< [C, H, W]: round(16 log2 s), s the root mean square of a coefficient
  /// [512]: mean |k| in 1/1024 of a coefficient with s/Δ = 2^((i−256)/16), at least 1
  std::vector<std::uint16_t> expected;
  /// [40, 15]: usual probability level of a one (entropy.h) in each plane of each kind of items (trellis.h)
  std::vector<std::uint8_t> levels;
  /// weight of a coefficient's usual size against the evidence of its neighbourhood, in 1/256 of a step; not 0
  std::uint16_t confidence = 64;

  std::uint32_t positions() const { return height * width; }
  std::size_t values() const { return std::size_t{channels} * positions(); }
  bool spatial() const { return !rows.empty(); }
  /// The root mean square of each coefficient: [C, H, W].
  std::vector<float> deviation() const;
  /// Whether `vectors` is orthonormal up to rounding: the squared error of each token's coefficients then equals that
  /// of its features to 1e-5, relatively. True for every basis made by a Calibrator. Costs C³ / 2 products.
  bool orthonormal() const;
  /// SHA-256 of channels, height, width (uint32), views (uint64), the eight arrays above in their order and the
  /// confidence, little-endian.
  std::string hash() const;
  /// Throws Error, beginning with `where`, unless sizes are consistent and floats are finite.
  void check(const std::string& where) const;

  bool operator==(const FeatureBasis&) const = default;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_BASIS_H_
