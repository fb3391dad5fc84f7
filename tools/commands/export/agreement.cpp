#include "tools/commands/export/agreement.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/kernels/normalise.h"

namespace vitrine {

std::string AgreementResult::limit_words() const {
  const std::string size = significant(largest, 2), share = significant(kMaxDifference, 2);
  return largest > 1 ? text(significant(limit, 2), " (", share, " of the largest logit, ", size, ")")
                     : text(share, " (absolute: the largest logit is ", size, ")");
}

AgreementResult check_agreement(const StoredStudent& student, Network& network, const Forward& exported,
                                const std::vector<PictureBatch>& batches) {
  const at::NoGradGuard no_grad;
  const auto mean = rgb_triplet(student.record.mean, "mean"), stddev = rgb_triplet(student.record.stddev, "std");
  at::Generator draws = at::make_generator<at::CPUGeneratorImpl>(1);
  AgreementResult out;
  for (const PictureBatch& batch : batches) {
    const at::Tensor pictures = at::randint(256, {batch.pictures, batch.size, batch.size, 3}, draws, at::kByte);
    const at::Tensor expected = network.forward(normalise_pictures(pictures, mean, stddev)).logits;
    if (!at::isfinite(expected).all().item<bool>())
      throw Error(ErrorKind::kInput, {.path = student.file.string(),
                                      .what = "the logits of these weights are not finite numbers",
                                      .remedy = "export weights of an earlier step; the training diverged"});
    const at::Tensor found = exported(pictures);
    if (found.sizes() != expected.sizes())
      throw Error(ErrorKind::kInternal, {.what = text("the exported file gives logits of shape ", found.sizes(),
                                                      ", the student ", expected.sizes())});
    const double difference = (found - expected).abs().max().item<double>();
    out.largest = std::max(out.largest, expected.abs().max().item<double>());
    out.limit = kMaxDifference * std::max(1.0, out.largest);
    if (!(difference <= out.limit))  // also not a number
      throw Error(ErrorKind::kInternal,
                  {.what = text("the exported file's logits differ from the student's by ", difference, ", more than ",
                                out.limit, ", which logits up to ", out.largest, " allow")});
    out.difference = std::max(out.difference, difference);
  }
  return out;
}

}  // namespace vitrine
