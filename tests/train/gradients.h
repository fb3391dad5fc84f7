// Gradients against central finite differences, in double precision.
#ifndef VITRINE_TESTS_TRAIN_GRADIENTS_H_
#define VITRINE_TESTS_TRAIN_GRADIENTS_H_

#include <ATen/ATen.h>

#include <functional>

namespace vitrine::testing {

/// The largest difference, over all elements, between autograd's gradient of `loss()` with respect to `x` (a double
/// leaf that requires a gradient) and central differences. Infinite if autograd gives no gradient.
inline double gradient_error(const std::function<at::Tensor()>& loss, at::Tensor x) {
  x.mutable_grad().reset();
  loss().backward();
  if (!x.grad().defined()) return std::numeric_limits<double>::infinity();
  const at::Tensor analytic = x.grad().clone().flatten();
  const at::NoGradGuard no_grad;
  const at::Tensor values = x.detach().view(-1);
  constexpr double kStep = 1e-5;
  double worst = 0;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const double here = values[i].item<double>();
    values[i] = here + kStep;
    const double above = loss().item<double>();
    values[i] = here - kStep;
    const double below = loss().item<double>();
    values[i] = here;
    worst = std::max(worst, std::abs((above - below) / (2 * kStep) - analytic[i].item<double>()));
  }
  return worst;
}

/// Normal numbers from a seed.
inline at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType type = at::kDouble) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::randn(shape, generator, type);
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_TRAIN_GRADIENTS_H_
