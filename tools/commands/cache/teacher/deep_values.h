// Is what a group of a track holds what the teacher gives? The teacher's values of now go through the track's own
// codecs, and the stored ones are held against that, and against the values themselves.
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

/// How far a teacher's values may be from those of another run, as a share of their spread (attention: of each value).
/// Wide: after twelve blocks float32 is 1e-6 to 5e-6 from float64, and bfloat16 1e-2.
double arithmetic_distance(const std::string& precision, bool same_kind);

/// Of one group. Distances are, for features and logits, Σ|a − b|² / Σ|x − μ|² with x the teacher's values and μ as in
/// CodecLoss (logits: the mean of each view); for attention the largest total variation of a head of a view.
struct ValueFigures {
  bool identical = false;  ///< stored values are bit for bit what the codecs make of the teacher's
  double error = 0;        ///< stored values from the teacher's
  /// That error may have: what the codecs lose, or the bound that they keep where they have one. 0: no verdict.
  double bound = 0;
  double difference = 0;   ///< stored values from what the codecs make of the teacher's
  double tolerance = 0;    ///< that difference may have; 0: not judged, the codecs cannot be had again
  double value_error = 0;  ///< of one value, the largest
  double value_bound = 0;  ///< that value_error may have; 0: the codec bounds no single value
  CodecLoss loss;          ///< stored values against the teacher's

  /// The largest of the three as a multiple of what it may be; without a verdict error itself.
  double excess() const;
  bool beyond() const { return excess() > 1; }
  /// What it is that is beyond, in words; empty when nothing is.
  std::string why() const;
};

/// Immutable; any thread.
class ValueCheck {
 public:
  /// `codec`, `basis`: the track's, the latter null for encodings without; both must outlive this.
  ValueCheck(const TrackInfo& track, const Codec& codec, const FeatureBasis* basis);

  /// Why nothing can be said of this track; empty when something can.
  const std::string& no_verdict() const { return no_verdict_; }
  /// Whether `difference` is judged.
  bool replayed() const { return no_verdict_.empty() && links_.empty(); }
  /// `now`, `stored`: [views, shape...]. `arithmetic`: arithmetic_distance(). The tolerance is measured: what the
  /// codecs make of `now`, moved at random by that distance.
  ValueFigures compare(std::span<const float> now, std::span<const float> stored, std::uint32_t views,
                       double arithmetic) const;

 private:
  class Metric;
  std::vector<float> through(std::vector<float> values, std::uint32_t views) const;

  const TrackInfo& track_;
  const Codec& codec_;
  const FeatureBasis* basis_;
  std::vector<std::unique_ptr<const Codec>> earlier_;  // those that can be had again
  std::vector<double> links_;                          // bounds of those that cannot: transforms of other tracks
  std::string no_verdict_;
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_DEEP_VALUES_H_
