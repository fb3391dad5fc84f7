// SGD and AdamW over named parameters, with a state that goes in and out as named tensors, for checkpoints. The
// learning rate is an argument of each step. Updates are those of torch.optim (the same order of operations, foreach
// kernels); the same gradients on the same device give the same bits. Not thread-safe.
#ifndef VITRINE_TRAIN_OPTIM_OPTIMIZER_H_
#define VITRINE_TRAIN_OPTIM_OPTIMIZER_H_

#include <torch/torch.h>

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
  /// Also decay parameters of at most one dimension (biases, BatchNorm) and those that act as biases (names that end in
  /// cls_token, pos_embed or mask).
  bool decay_vectors = false;
  double momentum = 0.9;                              // SGD
  bool nesterov = true;                               // SGD; needs momentum
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  // AdamW

  void fields(Fields& f);
};

/// Parameters with unique names, all of one floating type and one device.
using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;
using OptimizerState = std::map<std::string, at::Tensor>;

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// One update of every parameter that has a gradient; the others, their state too, stay as they are.
  virtual void step(double lr) = 0;
  /// Drops all gradients.
  void zero_grad();
  /// Of the parameters that have one, in their order.
  std::vector<at::Tensor> gradients() const;

  /// Copies on the CPU, by "WHAT.PARAMETER", of what `load_state` needs to continue to the bit.
  virtual OptimizerState state() const = 0;
  /// Replaces the state. A missing, unexpected or misshapen tensor is an Error that names it and `where` (a file).
  virtual void load_state(const OptimizerState& state, const std::string& where) = 0;

 protected:
  /// Clashing names or mixed types or devices are a std::logic_error.
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
/// "steps.PARAMETER" (int64, since a frozen parameter's count stands still).
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
