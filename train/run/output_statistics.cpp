#include "train/run/output_statistics.h"

namespace vitrine {
namespace {

void add_to(at::Tensor& sum, const at::Tensor& value) {
  sum = sum.defined() ? sum + value : value;
}

}  // namespace

void OutputStatistics::add(const NetworkOutputs& out, const at::Tensor& teacher_logits) {
  const at::NoGradGuard no_grad;
  if (!out.stages.empty()) {
    const at::Tensor means = out.stages.back().detach().to(at::kFloat).mean(at::IntArrayRef{2, 3});
    const at::Tensor low = std::get<0>(means.min(0)), high = std::get<0>(means.max(0));
    lowest_ = lowest_.defined() ? at::minimum(lowest_, low) : low;
    highest_ = highest_.defined() ? at::maximum(highest_, high) : high;
  }
  if (!comparable_ || !teacher_logits.defined()) return;
  const auto log_softmax = [&](const at::Tensor& logits) {
    return at::log_softmax(logits.detach().to(at::kDouble) / temperature_, 1);
  };
  const at::Tensor teacher = log_softmax(teacher_logits), probabilities = teacher.exp();
  // 0 · log 0 is 0 here.
  const auto expected = [&](const at::Tensor& logs) {
    return at::where(probabilities.gt(0), probabilities * logs, 0).sum();
  };
  const at::Tensor entropy = -expected(teacher);
  add_to(probabilities_, probabilities.sum(0));
  add_to(entropies_, entropy);
  add_to(kls_, -entropy - expected(log_softmax(out.logits)));
  add_to(agreed_, out.logits.argmax(1).eq(teacher_logits.argmax(1)).sum());
  compared_ += teacher_logits.size(0);
}

void OutputStatistics::summarise(LearningEvidence& evidence) const {
  if (lowest_.defined()) {
    evidence.channels = static_cast<std::uint64_t>(lowest_.size(0));
    evidence.silent = static_cast<std::uint64_t>(lowest_.eq(highest_).sum().item<std::int64_t>());
  }
  if (compared_ == 0) return;
  evidence.compared = static_cast<std::uint64_t>(compared_);
  const auto count = static_cast<double>(compared_);
  const at::Tensor mean = probabilities_ / count;
  const double entropy_of_mean = -at::where(mean.gt(0), mean * mean.log(), 0).sum().item<double>();
  evidence.kl = kls_.item<double>() / count;
  evidence.constant_kl = entropy_of_mean - entropies_.item<double>() / count;
  evidence.agreement = static_cast<double>(agreed_.item<std::int64_t>()) / count;
}

}  // namespace vitrine
