#include "common/codec/loss.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/codec/encoding.h"

namespace vitrine {
namespace {

double squared(double x) {
  return x * x;
}

// Channel means over views and positions: [C].
std::vector<double> channel_means(std::span<const float> raw, std::size_t channels, std::size_t positions) {
  std::vector<double> means(channels, 0);
  for (std::size_t row = 0; row * positions < raw.size(); ++row)
    for (const float x : raw.subspan(row * positions, positions)) means[row % channels] += x;
  for (double& mean : means) mean /= static_cast<double>(raw.size() / channels);
  return means;
}

// `before` and `after`: features, or their coefficients in an orthonormal basis.
void measure_features(CodecLoss& loss, const std::vector<std::uint32_t>& shape, std::uint32_t views,
                      std::span<const float> raw, std::span<const float> mean, std::span<const float> before,
                      std::span<const float> after) {
  const std::size_t channels = shape[0], positions = raw.size() / views / channels;
  std::vector<double> means;
  if (mean.empty()) means = channel_means(raw, channels, positions);
  // Separate sums per token, which break the dependency chain of one long sum.
  std::vector<double> errors(positions), energies(positions);
  double worst = 0;
  for (std::size_t view = 0; view < views; ++view) {
    std::fill(errors.begin(), errors.end(), 0.0);
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t in_view = c * positions, i = view * channels * positions + in_view;
      const float *was = before.data() + i, *is = after.data() + i, *x = raw.data() + i;
      for (std::size_t p = 0; p < positions; ++p)
        errors[p] += squared(static_cast<double>(is[p]) - static_cast<double>(was[p]));
      if (mean.empty())
        for (std::size_t p = 0; p < positions; ++p) energies[p] += squared(static_cast<double>(x[p]) - means[c]);
      else
        for (std::size_t p = 0; p < positions; ++p)
          energies[p] += squared(static_cast<double>(x[p]) - static_cast<double>(mean[in_view + p]));
    }
    for (const double error : errors) {
      loss.error_energy += error;
      worst = std::max(worst, error);
    }
  }
  for (const double energy : energies) loss.energy += energy;
  loss.centred_by_basis = !mean.empty();
  // Relative errors are undefined for a group without energy.
  if (loss.energy > 0) {
    loss.worst_group = loss.error_energy / loss.energy;
    loss.worst_token = worst / (loss.energy / static_cast<double>(views * positions));
  }
}

// log Σ exp(x / temperature).
double log_sum_exp(std::span<const float> row, double temperature) {
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp((x - largest) / temperature);
  return largest / temperature + std::log(sum);
}

double kl(std::span<const float> raw, std::span<const float> decoded, double temperature) {
  const double p_sum = log_sum_exp(raw, temperature), q_sum = log_sum_exp(decoded, temperature);
  double sum = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const double p = raw[i] / temperature - p_sum;
    sum += std::exp(p) * (p - (decoded[i] / temperature - q_sum));
  }
  return std::max(sum, 0.0);  // negative only by rounding
}

void measure_logits(CodecLoss& loss, std::uint32_t views, std::span<const float> raw, std::span<const float> decoded) {
  const std::size_t classes = raw.size() / views;
  for (std::size_t view = 0; view < views; ++view) {
    const auto before = raw.subspan(view * classes, classes), after = decoded.subspan(view * classes, classes);
    const double one = kl(before, after, 1), four = kl(before, after, 4);
    loss.kl_1 += one, loss.kl_4 += four;
    loss.worst_kl_1 = std::max(loss.worst_kl_1, one), loss.worst_kl_4 = std::max(loss.worst_kl_4, four);
    loss.agreeing += std::max_element(before.begin(), before.end()) - before.begin() ==
                     std::max_element(after.begin(), after.end()) - after.begin();
  }
}

void measure_attention(CodecLoss& loss, const std::vector<std::uint32_t>& shape, std::uint32_t views,
                       std::span<const float> raw, std::span<const float> decoded) {
  loss.heads = std::uint64_t{views} * shape[0];
  const std::size_t positions = raw.size() / loss.heads;
  for (std::size_t head = 0; head < loss.heads; ++head) {
    double sum = 0;
    for (std::size_t i = head * positions; i < (head + 1) * positions; ++i)
      sum += std::fabs(static_cast<double>(decoded[i]) - raw[i]) / 2;
    loss.variation += sum;
    loss.worst_variation = std::max(loss.worst_variation, sum);
  }
}

}  // namespace

void CodecLoss::add(const CodecLoss& other) {
  if (other.kind == Kind::kNone) return;
  if (kind != Kind::kNone && kind != other.kind) throw std::logic_error("CodecLoss::add: different kinds");
  kind = other.kind;
  groups += other.groups, views += other.views;
  error_energy += other.error_energy, energy += other.energy;
  worst_group = std::max(worst_group, other.worst_group), worst_token = std::max(worst_token, other.worst_token);
  centred_by_basis = other.centred_by_basis;
  kl_1 += other.kl_1, kl_4 += other.kl_4, agreeing += other.agreeing;
  worst_kl_1 = std::max(worst_kl_1, other.worst_kl_1), worst_kl_4 = std::max(worst_kl_4, other.worst_kl_4);
  variation += other.variation, heads += other.heads;
  worst_variation = std::max(worst_variation, other.worst_variation);
}

std::string CodecLoss::json() const {
  std::string out = "{";
  const auto put = [&out](const char* name, double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.6g", value);
    out += text(out.size() > 1 ? ", " : "", '"', name, "\": ", digits);
  };
  const double n = static_cast<double>(std::max<std::uint64_t>(views, 1));
  switch (kind) {
    case Kind::kNone:
      break;
    case Kind::kFeatures:
      out += text("\"centred_by\": \"", centred_by_basis ? "basis" : "channel means of the group", '"');
      put("relative_error", relative_error());
      put("worst_group", worst_group);
      put("worst_token", worst_token);
      break;
    case Kind::kLogits:
      put("kl_1", kl_1 / n);
      put("worst_kl_1", worst_kl_1);
      put("kl_4", kl_4 / n);
      put("worst_kl_4", worst_kl_4);
      put("agreement", static_cast<double>(agreeing) / n);
      break;
    case Kind::kAttention:
      put("total_variation", variation / static_cast<double>(std::max<std::uint64_t>(heads, 1)));
      put("worst_total_variation", worst_variation);
      break;
  }
  return out + "}";
}

std::string CodecLoss::describe() const {
  const auto brief = [](double value) { return significant(value, 3); };
  const double n = static_cast<double>(std::max<std::uint64_t>(views, 1));
  switch (kind) {
    case Kind::kNone:
      break;
    case Kind::kFeatures:
      return text("relative error ", brief(100 * relative_error()), " % of the ",
                  centred_by_basis ? "energy" : "channels' energy", ", worst group ", brief(100 * worst_group),
                  " %, worst token ", brief(100 * worst_token), " %");
    case Kind::kLogits:
      return text("KL ", brief(kl_1 / n), " (worst ", brief(worst_kl_1), ") at temperature 1, ", brief(kl_4 / n),
                  " (worst ", brief(worst_kl_4), ") at 4, top-1 agreement ",
                  brief(100 * static_cast<double>(agreeing) / n), " %");
    case Kind::kAttention:
      return text("total variation ", brief(variation / static_cast<double>(std::max<std::uint64_t>(heads, 1))),
                  ", worst ", brief(worst_variation));
  }
  return "nothing was stored";
}

CodecLoss measure_loss(const std::string& kind, const std::vector<std::uint32_t>& shape, std::uint32_t views,
                       std::span<const float> raw, std::span<const float> decoded, std::span<const float> mean) {
  const std::size_t count = view_values(shape) * views;
  if (raw.size() != count || decoded.size() != count || count == 0 ||
      (!mean.empty() && mean.size() != view_values(shape)))
    throw std::logic_error(text("measure_loss: ", raw.size(), " and ", decoded.size(), " values, expected ", count));
  CodecLoss loss;
  loss.groups = 1, loss.views = views;
  if (kind == "features" || kind == "embedding") {
    loss.kind = CodecLoss::Kind::kFeatures;
    measure_features(loss, kind == "features" ? shape : std::vector<std::uint32_t>{shape[0], 1, 1}, views, raw, mean,
                     raw, decoded);
  } else if (kind == "logits") {
    loss.kind = CodecLoss::Kind::kLogits;
    measure_logits(loss, views, raw, decoded);
  } else if (kind == "attention") {
    loss.kind = CodecLoss::Kind::kAttention;
    measure_attention(loss, shape, views, raw, decoded);
  } else {
    throw std::logic_error("measure_loss: unknown kind of track: " + kind);
  }
  return loss;
}

CodecLoss measure_loss_in_basis(const std::vector<std::uint32_t>& shape, std::uint32_t views,
                                std::span<const float> raw, std::span<const float> mean,
                                std::span<const float> coefficients, std::span<const float> decoded) {
  const std::size_t count = view_values(shape) * views;
  if (raw.size() != count || coefficients.size() != count || decoded.size() != count || count == 0 ||
      mean.size() != view_values(shape))
    throw std::logic_error("measure_loss_in_basis: spans of different sizes");
  CodecLoss loss;
  loss.groups = 1, loss.views = views, loss.kind = CodecLoss::Kind::kFeatures;
  measure_features(loss, shape, views, raw, mean, coefficients, decoded);
  return loss;
}

}  // namespace vitrine
