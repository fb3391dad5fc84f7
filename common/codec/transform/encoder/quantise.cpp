#include "common/codec/transform/encoder/quantise.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "common/codec/transform/entropy.h"

namespace vitrine::transform {
namespace {

constexpr double kLambda = 0.065;        // squared steps per bit
constexpr double kSketchZero = 0.45;     // dead zone of a sketch where a 1 costs no more than a 0
constexpr std::size_t kPathSteps = 512;  // steps between two backtrackings

// Bits of a kind's magnitudes, from the basis's levels: of 0, of 1, and per further 1.
struct KindBits {
  double zero, one, each;
};
KindBits bits_of(const FeatureBasis& basis, int kind) {
  const std::uint8_t* levels = basis.levels.data() + static_cast<std::size_t>(kind * kPlanes);
  const double p[3] = {probability(levels[0]), probability(levels[1]), probability(levels[2])};
  const double each = -(std::log2(p[1]) + std::log2(p[2])) / 2;
  const int low = low_bits(class_of_kind(kind));
  if (low > 0) return {0, 1, each / (1 << low)};
  return {-std::log2(1 - p[0]), 1 - std::log2(p[0]) - std::log2(1 - p[1]), each};
}

struct SketchZeros {
  alignas(64) float by_class[kClasses];
};
SketchZeros sketch_zeros(const TrellisCosts& costs) {
  SketchZeros zeros;
  for (std::size_t c = 0; c < kClasses; ++c)
    zeros.by_class[c] = std::clamp(static_cast<float>(kSketchZero) + 2 * (costs.first[c] + costs.each[c]), 0.4f, 1.3f);
  return zeros;
}

// Runs the Viterbi algorithm over some steps for groups [first, last); advances `states`.
void walk(std::span<const float> items, std::span<const std::uint8_t> classes, std::span<const TrellisStep> steps,
          float step, const TrellisCosts& costs, std::size_t first, std::size_t last, TrellisStates& states,
          std::vector<TrellisChoices>& choices, std::uint16_t* magnitude, std::uint64_t* second,
          std::uint64_t* negative, double* errors) {
  if (choices.size() < steps.size()) choices.resize(steps.size());
  TrellisStates end = states;
  for (std::size_t group = first; group < last; ++group)
    blocks().viterbi_forward(items.data(), classes.data(), steps.data(), steps.size(), 1 / step, costs, group, states,
                             choices.data(), end);
  blocks().viterbi_backtrack(items.data(), steps.data(), steps.size(), 1 / step, first, last, choices.data(), end,
                             magnitude, second, negative, errors);
  states = end;
}

// The sample: runs of kRun adjacent items, about kRuns of them, at most one run in kApart.
constexpr std::size_t kRun = 16, kRuns = 8192, kApart = 17;

}  // namespace

ClassBits::ClassBits(const FeatureBasis& basis) {
  for (int c = 0; c < kClasses; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const KindBits first = bits_of(basis, c), second = bits_of(basis, kind_of(c, true));
    each_[at] = (first.each + second.each) / 2;
    first_[at] = first.one - each_[at] - first.zero;
    second_[at] = second.one - each_[at] - first.zero;
    zero_[at] = second.zero - first.zero;
  }
}

TrellisCosts ClassBits::costs(double lambda) const {
  TrellisCosts costs;
  const double unit = lambda / 4;
  for (std::size_t c = 0; c < kClasses; ++c) {
    costs.each[c] = static_cast<float>(unit * each_[c]);
    costs.zero[c] = static_cast<float>(unit * zero_[c]);
    costs.first[c] = static_cast<float>(unit * first_[c]);
    costs.second[c] = static_cast<float>(unit * second_[c]);
  }
  return costs;
}

int sixteenths(float step) {
  return static_cast<int>(std::floor(16 * std::log2(step) + 1e-3));
}

void Quantiser::begin(const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                      std::uint32_t views) {
  basis_ = &basis;
  slots_ = &slots;
  items_ = items;
  views_ = views;
  bits_ = ClassBits(basis);
  halves_.clear();
  trellis_.clear();
  for (std::uint32_t channel = 0; channel < basis.channels; ++channel)
    for (const bool odd : {false, true}) {
      const std::uint32_t from = odd ? slots.even : 0, to = odd ? slots.count : slots.even;
      const std::size_t base = std::size_t{channel} * slots.count * views;
      const Half half{channel,        from, to, odd, base + std::size_t{from} * views, base + std::size_t{to} * views,
                      trellis_.size()};
      halves_.push_back(half);
      for (std::size_t at = half.begin; at < half.end; at += 64)
        trellis_.push_back({static_cast<std::uint32_t>(at),
                            half.end - at < 64 ? (std::uint64_t{1} << (half.end - at)) - 1 : ~std::uint64_t{0}});
    }
}

void Quantiser::quantise(float step, Quantised& out) {
  out.step = step;
  out.magnitude = out.magnitudes.numbers<std::uint16_t>(items_.size() + 64);
  out.classes = out.class_bytes.numbers<std::uint8_t>(items_.size() + 64);
  out.second.resize(trellis_.size());
  out.negative.resize(trellis_.size());
  contexts_.begin(*basis_, *slots_, views_, sixteenths(step));
  seen_.assign(contexts_.seen_bytes(), 0);
  errors_.fill(0);
  const TrellisCosts costs = bits_.costs(kLambda);
  const SketchZeros zeros = sketch_zeros(costs);
  TrellisStates states;
  std::size_t traced = 0;  // steps
  for (const Half& half : halves_) {
    classify(half, out);
    blocks().sketch(items_.data() + half.begin, out.classes.data() + half.begin, half.end - half.begin, 1 / step,
                    zeros.by_class, seen_.data() + std::size_t{half.first_slot} * views_);
    if (!half.ends_channel) continue;
    contexts_.learn(seen_.data());
    const std::size_t known = half.first_word + (half.end - half.begin + 63) / 64;
    while (traced < known && (known - traced >= kPathSteps || known == trellis_.size())) {
      const std::size_t count = std::min(kPathSteps, known - traced);
      walk(items_, out.classes, std::span(trellis_).subspan(traced, count), step, costs, 0, kTrellisGroups, states,
           choices_, out.magnitude.data(), out.second.data() + traced, out.negative.data() + traced, errors_.data());
      traced += count;
    }
  }
  for (double& error : errors_) error *= static_cast<double>(step) * static_cast<double>(step);
  out.error = std::accumulate(errors_.begin(), errors_.end(), 0.0);
}

void Quantiser::classify(const Half& half, Quantised& out) {
  std::uint8_t* classes = out.classes.data() + half.begin;
  contexts_.classify(half.channel, half.first_slot, half.last_slot, seen_.data(),
                     classes - std::size_t{half.first_slot} * views_);
}

void Quantiser::requantise(std::size_t group, double lambda_scale, Quantised& out) {
  const TrellisCosts costs = bits_.costs(lambda_scale * kLambda);
  TrellisStates states;
  double errors[kTrellisGroups] = {};
  for (std::size_t traced = 0; traced < trellis_.size(); traced += kPathSteps) {
    const std::size_t count = std::min(kPathSteps, trellis_.size() - traced);
    walk(items_, out.classes, std::span(trellis_).subspan(traced, count), out.step, costs, group, group + 1, states,
         choices_, out.magnitude.data(), out.second.data() + traced, out.negative.data() + traced, errors);
  }
  const double error = errors[group] * static_cast<double>(out.step) * static_cast<double>(out.step);
  errors_[group] = error;
  out.error = std::accumulate(errors_.begin(), errors_.end(), 0.0);
}

std::array<std::uint64_t, kKinds> Quantiser::finish(Quantised& out) {
  std::array<std::uint64_t, kKinds> counts{};
  contexts_.begin(*basis_, *slots_, views_, sixteenths(out.step));
  std::ranges::fill(seen_, std::uint8_t{0});
  for (const Half& half : halves_) {
    const std::size_t count = half.end - half.begin, before = std::size_t{half.first_slot} * views_;
    classify(half, out);
    blocks().context_levels(out.magnitude.data() + half.begin, out.second.data() + half.first_word, count,
                            seen_.data() + before);
    blocks().count(out.classes.data() + half.begin, out.second.data() + half.first_word, count, counts.data());
    if (half.ends_channel) contexts_.learn(seen_.data());
  }
  return counts;
}

SampledError::SampledError(const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                           std::uint32_t views)
    : basis_(&basis), bits_(basis) {
  const std::size_t runs = items.size() / kRun, apart = std::max(runs / kRuns, kApart) | 1;  // odd, to visit every view
  for (std::size_t run = 0; run < runs; run += apart) {
    const auto own = items.subspan(run * kRun, kRun);
    trellis_.push_back({static_cast<std::uint32_t>(sample_.size()), 0xFFFF});
    sample_.insert(sample_.end(), own.begin(), own.end());
    const std::size_t row = run * kRun / views;
    scale_.push_back(basis.scale[row / slots.count * slots.count + slots.position[row % slots.count]]);
  }
  if (!sample_.empty()) share_ = static_cast<double>(sample_.size()) / static_cast<double>(items.size());
  const std::size_t padded = sample_.size() + 64;
  magnitude_.resize(padded);
  classes_.resize(padded);
  seen_.resize(padded);
  second_.resize(trellis_.size());
  minus_.resize(trellis_.size());
}

void SampledError::classify(float step) {
  const int down = sixteenths(step);
  auto* classes = classes_.data();
  for (std::size_t run = 0; run < scale_.size(); ++run, classes += kRun)
    std::fill_n(classes, kRun, usual_class(*basis_, scale_[run], down));
}

double SampledError::error(float step, double lambda_scale) {
  classify(step);
  double errors[kTrellisGroups] = {};
  TrellisStates states;
  walk(sample_, classes_, trellis_, step, bits_.costs(lambda_scale * kLambda), 0, 1, states, choices_,
       magnitude_.data(), second_.data(), minus_.data(), errors);
  return errors[0] * static_cast<double>(step) * static_cast<double>(step) / share_;
}

double SampledError::sketched(float step) {
  classify(step);
  const SketchZeros zeros = sketch_zeros(bits_.costs(kLambda));
  const double error =
      blocks().sketch(sample_.data(), classes_.data(), sample_.size(), 1 / step, zeros.by_class, seen_.data());
  return error * static_cast<double>(step) * static_cast<double>(step) / share_;
}

std::vector<std::uint8_t> usual_levels() {
  std::vector<std::uint8_t> levels;
  for (int kind = 0; kind < kKinds; ++kind) {
    const int c = class_of_kind(kind);
    const double mean = std::exp2((c + 0.5) / 2 - 10), unit = 1 << low_bits(c);
    double low = 1e-9, high = 1 - 1e-9;  // q = P(|k| > n | |k| ≥ n); P(|k| ≥ 1) is q^0.65
    for (int i = 0; i < 60; ++i) {
      const double q = (low + high) / 2;
      (std::pow(q, 0.65) / (1 - q) < mean ? low : high) = q;
    }
    const bool second = kind >= kClasses;
    for (int t = 0; t < kPlanes; ++t) {
      const double one = std::pow(low, t == 0 ? unit - (second ? 0.6 : 0.35) : t == 1 && second ? 0.75 : unit);
      const double level = kLevels / 2 + 3 * std::log2(one / (1 - one));
      levels.push_back(static_cast<std::uint8_t>(std::clamp(std::lround(level), 0l, kLevels - 1l)));
    }
  }
  return levels;
}

void Tallies::add_plane(std::size_t kind, std::size_t plane, std::uint64_t ones, std::uint64_t bits) {
  ones_[kind][plane] += ones;
  bits_[kind][plane] += bits;
}

void Tallies::set_levels(FeatureBasis& basis) const {
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    for (std::size_t t = 0; t < kPlanes; ++t)
      if (bits_[kind][t] > 0)
        basis.levels[kind * kPlanes + t] = static_cast<std::uint8_t>(best_level(ones_[kind][t], bits_[kind][t]));
}

}  // namespace vitrine::transform
