#include "common/codec/transform/encoder/step.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>

#include "common/base/error.h"

namespace vitrine::transform {
namespace {

constexpr int kLadder = 1024;           // steps per octave
constexpr double kCloseEnough = 0.997;  // share of the bound at which the search stops
// Target error as a share of the bound: below 1, so that a good guess meets the bound.
constexpr double kAim = 0.9985;
constexpr int kLineRounds = 6;
// The error grows roughly as step^1.4. The error of a sample without contexts is close to the group's (2 % more on a
// teacher's features, 1 % less on independent coefficients), that of its sketch about a tenth larger.
constexpr double kErrorExponent = 1.4, kSampleShare = 1.005, kSketchShare = 1.1;
// An error this near to the bound is adjusted by scaling λ in some groups of trellises; the effect is estimated on the
// sample.
constexpr double kNear = 0.06, kMaxShift = 2, kTrialPrice = 1.2, kMinExponent = 0.05;
constexpr std::size_t kShifts = 6;
// Limits of the search, as a sample may miss the few items with a group's energy. The step is at most kBelowNoise below
// the one whose uniform noise equals the bound, as zeros add to that noise, and at most kAboveLargest above the largest
// possible value. Beyond, magnitudes overflow or all are zero.
constexpr int kBelowNoise = 3 * kLadder / 2, kAboveLargest = 2 * kLadder;

float step_of(int j) {
  return static_cast<float>(std::exp2(static_cast<double>(j) / kLadder));
}
double octaves(double error, double target) {
  return std::log2(target / std::max(error, 1e-300));
}
// The exponent e of error ∝ λ^e, approximately.
double price_exponent(double price, double before, double after) {
  return std::clamp(std::log(after / before) / std::log(price), kMinExponent, 1.0);
}

// Step estimates from a sample of the group.
class Guess {
 public:
  explicit Guess(SampledError& sampled) : sampled_(sampled) {}
  // The step index where a sketch of the sample has about this error.
  int sketched(int from, double target) {
    int at = from;
    double last = 0;
    for (int round = 0, move = 0; round < 8; ++round) {
      const double error = sampled_.sketched(step_of(at));
      if (!(error > 0) || !std::isfinite(error)) break;
      if (move != 0) slope_ = std::clamp(octaves(last, error) * kLadder / move, kErrorExponent / 2, 2.5);
      last = error;
      move = static_cast<int>(std::lround(std::clamp(octaves(error, target) / slope_, -4.0, 4.0) * kLadder));
      at += move;
      if (std::abs(move) <= kLadder / 512) break;
    }
    return at;
  }
  // The step index where the group's error should be `share` of its error at `from`.
  int moved(int from, double share) { return sketched(from, sampled_.sketched(step_of(from)) * share); }
  // The step index where the group's error should be `bound`.
  int first(int from, double bound) {
    int j = sketched(from, kSketchShare * bound);
    for (int round = 0; round < 2; ++round) {
      const double error = sampled_.error(step_of(j));
      if (!(error > 0) || !std::isfinite(error)) break;
      if (round > 0) exponent_ = price_exponent(kTrialPrice, error, sampled_.error(step_of(j), kTrialPrice));
      j = moved(j, kSampleShare * bound / error);
    }
    return j;
  }
  double exponent() const { return exponent_; }

 private:
  SampledError& sampled_;
  double slope_ = kErrorExponent, exponent_ = kMinExponent;
};

// Moves an error near the bound closer to it; an error that met the bound still does.
void shift(double bound, double exponent, Quantiser& quantiser, Quantised& group) {
  std::array<double, kTrellisGroups> lambda_scale, held;
  lambda_scale.fill(1);
  bool holds = false;
  for (std::size_t round = 0; round < kShifts && std::abs(group.error - bound) <= kNear * bound; ++round) {
    if (group.error <= bound) {
      if (group.error >= kCloseEnough * bound) return;
      holds = true;
      held = lambda_scale;
    }
    const std::size_t which = round % kTrellisGroups;
    const double own = quantiser.error_of(which), wanted = own + kAim * bound - group.error;
    if (!(own > 0) || !(wanted > 0)) continue;
    const double price = std::clamp(std::pow(wanted / own, 1 / exponent), 1 / kMaxShift, kMaxShift);
    lambda_scale[which] *= price;
    quantiser.requantise(which, lambda_scale[which], group);
    exponent = price_exponent(price, own, quantiser.error_of(which));
  }
  if (group.error <= bound || !holds) return;
  for (std::size_t which = 0; which < kTrellisGroups; ++which)
    if (lambda_scale[which] != held[which]) quantiser.requantise(which, held[which], group);
}

}  // namespace

Quantised& quantise_to(double max_error, const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                       double energy, std::uint32_t views, Quantiser& quantiser) {
  static thread_local Quantised now, best;
  const double bound = max_error * energy;
  const double mean_square = std::max(energy / static_cast<double>(items.size()), 1e-30);
  int j = std::clamp(static_cast<int>(std::lround(kLadder / 2.0 * std::log2(12 * max_error * mean_square))),
                     -100 * kLadder, 60 * kLadder);
  if (!(energy > 0)) {  // all items are zero
    quantiser.quantise(step_of(j), best);
    return best;
  }
  SampledError sampled(basis, slots, items, views);
  Guess guess(sampled);
  const int least = j - kBelowNoise;
  const int most = std::max(j, static_cast<int>(std::lround(kLadder / 2.0 * std::log2(energy)))) + kAboveLargest;
  j = std::clamp(guess.first(j, bound), least, most);
  // Then search between a step that meets the bound and one that does not.
  struct Tried {
    int j;
    double error;
  };
  std::optional<Tried> holds, fails;
  for (int round = 0, stride = 1;; ++round) {
    quantiser.quantise(step_of(j), now);
    shift(bound, guess.exponent(), quantiser, now);
    const bool held = now.error <= bound;
    (held ? holds : fails) = Tried{j, now.error};
    const double reached = now.error / bound;
    if (held) std::swap(best, now);
    if ((held && reached >= kCloseEnough) || (holds && fails && fails->j - holds->j <= 1)) return best;
    if (holds && fails) {  // bisect where the error jumps, as interpolation fails
      const double part =
          round < kLineRounds ? octaves(holds->error, kAim * bound) / octaves(holds->error, fails->error) : 0.5;
      j = std::clamp(holds->j + static_cast<int>(part * (fails->j - holds->j)), holds->j + 1, fails->j - 1);
    } else {
      const int off = guess.moved(j, kAim / reached) - j;
      const int next = held ? std::max(j + off, j + stride) : std::min(j + off, j - stride);
      j = held && j < most ? std::min(next, most) : !held && j > least ? std::max(next, least) : next;
      stride *= 2;
    }
    if (j < -110 * kLadder || j > 70 * kLadder)
      fail("no quantisation step meets max_error ", max_error, "; check the range of the features");
  }
}

}  // namespace vitrine::transform
