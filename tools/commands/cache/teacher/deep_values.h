// Compares a group's stored values with the teacher's current values, and with these after the track's codecs.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_VALUES_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_VALUES_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/codec/codec.h"
#include "common/codec/loss.h"
#include "common/codec/transform/basis.h"

namespace vitrine {

/// Allowed distance between a teacher's values in two runs, as a share of their spread (attention: of each value).
/// Generous: after twelve blocks float32 differs from float64 by 1e-6 to 5e-6, bfloat16 by 1e-2.
double arithmetic_distance(const std::string& precision, bool same_kind);

/// Result for one group. Distances are, for features and logits, Σ|a − b|² / Σ|x − μ|² with x the teacher's values and
/// μ as in CodecLoss (logits: the mean of each view); for attention the largest total variation of a head of a view.
struct ValueFigures {
  bool identical = false;  ///< stored values are bit-identical to the teacher's after the codecs
  double error = 0;        ///< between stored values and the teacher's
  /// Limit of `error`: what the codecs lose, or their bound if they have one. 0: no verdict.
  double bound = 0;
  double difference = 0;   ///< between stored values and the teacher's after the codecs
  double tolerance = 0;    ///< limit of `difference`; 0: not checked, as the codecs cannot be recreated
  double value_error = 0;  ///< largest error of a single value
  double value_bound = 0;  ///< limit of `value_error`; 0: the codec does not bound single values
  CodecLoss loss;          ///< stored values against the teacher's

  /// The largest ratio of the three to their limits; `error` if there is no verdict.
  double excess() const;
  bool beyond() const { return excess() > 1; }
  /// Describes the exceeded limit; empty if none is.
  std::string why() const;
};

/// Immutable; thread-safe.
class ValueCheck {
 public:
  /// `codec`, `basis`: the track's, `basis` null for encodings without one; both must outlive this.
  ValueCheck(const TrackInfo& track, const Codec& codec, const FeatureBasis* basis);

  /// Why there is no verdict for this track; empty if there is one.
  const std::string& no_verdict() const { return no_verdict_; }
  /// Whether `difference` is checked.
  bool replayed() const { return no_verdict_.empty() && links_.empty(); }
  /// `now`, `stored`: [views, shape...]. `arithmetic`: arithmetic_distance(). The tolerance is measured by sending
  /// `now`, randomly perturbed by that distance, through the codecs. `whole`: false where views are left out, whose
  /// values in `now` are those in `stored`. A transform codes a group's views together, so that what it made of the
  /// others cannot be recreated: such a group's error is checked, its `difference` is not.
  ValueFigures compare(std::span<const float> now, std::span<const float> stored, std::uint32_t views,
                       double arithmetic, bool whole = true) const;

 private:
  class Metric;
  std::vector<float> through(std::vector<float> values, std::uint32_t views) const;

  const TrackInfo& track_;
  const Codec& codec_;
  const FeatureBasis* basis_;
  std::vector<std::unique_ptr<const Codec>> earlier_;  // those that can be recreated
  std::vector<double> links_;                          // bounds of the others: transforms of other tracks
  std::string no_verdict_;
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_VALUES_H_
