// SGD and AdamW over named parameters, with a state that is saved and loaded as named tensors. The learning rate is an
// argument of each step. Updates equal torch.optim's (same order of operations, foreach kernels); the same gradients on
// the same device give the same bits. Not thread-safe.
#ifndef VITRINE_TRAIN_OPTIM_OPTIMIZER_H_
#define VITRINE_TRAIN_OPTIM_OPTIMIZER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/config/fields.h"

namespace vitrine {

enum class OptimizerKind { kSgd, kAdamW };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kSgd;
  double weight_decay = 1e-4;  // SGD: added to the gradient; AdamW: decoupled
  /// Also decay parameters of at most one dimension (biases, BatchNorm) and those that act as biases (named cls_token,
  /// pos_embed or mask).
  bool decay_vectors = false;
  double momentum = 0.9;                              // SGD
  bool nesterov = true;                               // SGD; requires momentum > 0
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  // AdamW

  void fields(Fields& f);
};

/// Parameters with unique names, all of one floating type and one device.
using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;
using OptimizerState = std::map<std::string, at::Tensor>;

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Updates every parameter that has a gradient. Parameters without one keep their value and state.
  virtual void step(double lr) = 0;
  /// Drops all gradients.
  void zero_grad();
  /// The gradients of the parameters that have one, in the parameters' order.
  std::vector<at::Tensor> gradients() const;

  /// CPU copies, named "WHAT.PARAMETER", of all that load_state() needs for a bit-exact continuation.
  virtual OptimizerState state() const = 0;
  /// Replaces the state. Throws Error that names the tensor and `where` (a file) for a missing, unexpected or misshapen
  /// tensor.
  virtual void load_state(const OptimizerState& state, const std::string& where) = 0;

 protected:
  /// Throws std::logic_error for duplicate names and for mixed types or devices.
  Optimizer(NamedParameters parameters, const OptimizerOptions& options);

  /// Whether weight decay applies to parameter `i`.
  bool decays(std::size_t i) const;

  NamedParameters parameters_;
  OptimizerOptions options_;
};

/// Stochastic gradient descent with (Nesterov) momentum, without dampening: b ← m·b + g; w ← w − lr·(g + m·b), or lr·b
/// without Nesterov. State: "momentum.PARAMETER".
class Sgd : public Optimizer {
 public:
  Sgd(NamedParameters parameters, const OptimizerOptions& options);
  void step(double lr) override;
  OptimizerState state() const override;
  void load_state(const OptimizerState& state, const std::string& where) override;

 private:
  std::vector<at::Tensor> momentum_;
};

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019). State: "mean.PARAMETER", "square.PARAMETER",
/// "steps.PARAMETER" (int64; per parameter, since frozen parameters are not counted).
class AdamW : public Optimizer {
 public:
  AdamW(NamedParameters parameters, const OptimizerOptions& options);
  void step(double lr) override;
  OptimizerState state() const override;
  void load_state(const OptimizerState& state, const std::string& where) override;

 private:
  std::vector<at::Tensor> mean_;
  std::vector<at::Tensor> square_;
  std::vector<std::int64_t> steps_;
};

std::unique_ptr<Optimizer> make_optimizer(NamedParameters parameters, const OptimizerOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_OPTIM_OPTIMIZER_H_
