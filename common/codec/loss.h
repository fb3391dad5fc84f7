// The measured error of a codec, by kind of target. Sums over groups are reproducible if the order is; each shard's
// attributes store them.
#ifndef VITRINE_COMMON_CODEC_LOSS_H_
#define VITRINE_COMMON_CODEC_LOSS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrine {

/// Statistics over some groups, in double precision.
struct CodecLoss {
  enum class Kind { kNone, kFeatures, kLogits, kAttention };
  Kind kind = Kind::kNone;
  std::uint64_t groups = 0, views = 0;

  /// Features: Σ|x' − x|² and Σ|x − μ|². μ is the mean of the track's basis if it has one, else each channel's mean
  /// over the group. A token is one position of one view; its error is relative to the mean |x − μ|² of the group's
  /// tokens.
  double error_energy = 0, energy = 0;
  double worst_group = 0;  ///< largest error_energy / energy of a group
  double worst_token = 0;  ///< largest |x' − x|² of a token over the mean |x − μ|² of its group's tokens
  bool centred_by_basis = false;

  /// Logits: KL(softmax(x / τ) ‖ softmax(x' / τ)), the sum over views and the largest, at τ = 1 and 4; `agreeing`:
  /// views with the same top-1 class before and after.
  double kl_1 = 0, kl_4 = 0, worst_kl_1 = 0, worst_kl_4 = 0;
  std::uint64_t agreeing = 0;

  /// Attention: half of Σ|x' − x| over a head's positions, summed over heads of views, and the largest.
  double variation = 0, worst_variation = 0;
  std::uint64_t heads = 0;

  double relative_error() const { return energy > 0 ? error_energy / energy : 0; }
  /// Accumulates `other`. Requires equal kinds, or kNone for one of them.
  void add(const CodecLoss& other);
  /// One JSON object: means and worst values, six digits each. Equal values give equal text.
  std::string json() const;
  /// The same as one line of text.
  std::string describe() const;
};

/// The loss of one group: `raw` and `decoded` are [views, shape...]. `kind`: the track's, "features" [C, H, W],
/// "logits" [K], "attention" [heads, H, W] or "embedding" [D], which is measured as features of one position. `mean`:
/// [C, H, W], from the track's basis, empty if it has none.
CodecLoss measure_loss(const std::string& kind, const std::vector<std::uint32_t>& shape, std::uint32_t views,
                       std::span<const float> raw, std::span<const float> decoded, std::span<const float> mean = {});

/// The same for features, computed from their coefficients in an orthonormal basis over channels
/// (FeatureBasis::orthonormal): `coefficients` and `decoded`, [views, C, H, W], are vectors · (x − mean) before and
/// after the codec. |x' − x|² of a token equals that of its coefficients, so x' is not needed.
CodecLoss measure_loss_in_basis(const std::vector<std::uint32_t>& shape, std::uint32_t views,
                                std::span<const float> raw, std::span<const float> mean,
                                std::span<const float> coefficients, std::span<const float> decoded);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_LOSS_H_
