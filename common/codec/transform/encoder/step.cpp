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

constexpr int kLadder = 1024;           // steps an octave
constexpr double kCloseEnough = 0.997;  // of the error that may be made: no larger step is looked for
// What is aimed at: between what is close enough and the bound, so that a good guess is one that holds.
constexpr double kAim = 0.9985;
constexpr int kLineRounds = 6;
// Over octaves the error grows about as step^1.4. A sample without contexts shows about as much of it as a group has (2
// % more on a teacher's features, 1 % less on independent coefficients), a sketch of the sample about a tenth more.
constexpr double kErrorExponent = 1.4, kSampleShare = 1.005, kSketchShare = 1.1;
// An error this near to the bound is brought to it by lambda_scale or cheaper bits in some of the trellises; how much
// that changes is tried on the sample.
constexpr double kNear = 0.06, kMaxShift = 2, kTrialPrice = 1.2, kMinExponent = 0.05;
constexpr std::size_t kShifts = 6;
// A sample may have missed the few items that hold a group's energy, and then says nothing of the group. The step
// sought lies at most so much below the one whose uniform noise would be the bound, as zeros add to that noise, and not
// above the largest value that there can be by more: no jump goes beyond, where magnitudes have too few bits, or all
// are zero.
constexpr int kBelowNoise = 3 * kLadder / 2, kAboveLargest = 2 * kLadder;

float step_of(int j) {
  return static_cast<float>(std::exp2(static_cast<double>(j) / kLadder));
}
double octaves(double error, double target) {
  return std::log2(target / std::max(error, 1e-300));
}
// By which power of their price, about, the bits' price changes the error.
double price_exponent(double price, double before, double after) {
  return std::clamp(std::log(after / before) / std::log(price), kMinExponent, 1.0);
}

// What a sample of the group tells.
class Guess {
 public:
  explicit Guess(SampledError& sampled) : sampled_(sampled) {}
  // The rung where a sketch of the sample has about this error.
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
  // The rung at which the group may have an error of `share` of what it has at this one.
  int moved(int from, double share) { return sketched(from, sampled_.sketched(step_of(from)) * share); }
  // The rung where the group may have this error.
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

// Brings an error that is nearly right to the bound, and never one that holds above it.
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
    quantiser.again(which, lambda_scale[which], group);
    exponent = price_exponent(price, own, quantiser.error_of(which));
  }
  if (group.error <= bound || !holds) return;
  for (std::size_t which = 0; which < kTrellisGroups; ++which)
    if (lambda_scale[which] != held[which]) quantiser.again(which, held[which], group);
}

}  // namespace

Quantised& quantise_to(double max_error, const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                       double energy, std::uint32_t views, Quantiser& quantiser) {
  static thread_local Quantised now, best;
  const double bound = max_error * energy;
  const double mean_square = std::max(energy / static_cast<double>(items.size()), 1e-30);
  int j = std::clamp(static_cast<int>(std::lround(kLadder / 2.0 * std::log2(12 * max_error * mean_square))),
                     -100 * kLadder, 60 * kLadder);
  if (!(energy > 0)) {  // nothing but zeros
    quantiser.quantise(step_of(j), best);
    return best;
  }
  SampledError sampled(basis, slots, items, views);
  Guess guess(sampled);
  const int least = j - kBelowNoise;
  const int most = std::max(j, static_cast<int>(std::lround(kLadder / 2.0 * std::log2(energy)))) + kAboveLargest;
  j = std::clamp(guess.first(j, bound), least, most);
  // From there on between a step that holds and one that does not.
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
    if (holds && fails) {  // where the error jumps, a line leads nowhere: halve
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
      fail("features cannot be kept within max_error ", max_error, "; expected values of an ordinary range");
  }
}

}  // namespace vitrine::transform
