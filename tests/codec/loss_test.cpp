#include "common/codec/make_codec.h"
#include "common/codec/loss.h"

#include <cmath>

#include "tests/codec/values.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

TEST_CASE("features: error energy over centred energy, in total, of the worst group and of the worst token") {
  // Two channels at two positions; channel means 2 and 0, energy 4 · 1 + 4 · 4 = 20 over 4 tokens of 2 views.
  const std::vector<float> raw{1, 3, 2, -2, 3, 1, -2, 2};
  std::vector<float> decoded = raw;
  decoded[1] += 1, decoded[3] -= 2;  // both at position 1 of view 0
  decoded[4] += 1;
  const CodecLoss loss = measure_loss("features", {2, 1, 2}, 2, raw, decoded);
  CHECK(loss.relative_error() == doctest::Approx(6.0 / 20));
  CHECK(loss.worst_group == doctest::Approx(6.0 / 20));
  CHECK(loss.worst_token == doctest::Approx(5.0 / 5));
  CHECK(loss.json() ==
        "{\"centred_by\": \"channel means of the group\", \"relative_error\": 0.3, \"worst_group\": 0.3, "
        "\"worst_token\": 1}");

  CodecLoss both = measure_loss("features", {2, 1, 2}, 2, raw, raw);
  CHECK(both.relative_error() == 0);
  both.add(loss);
  CHECK(both.groups == 2);
  CHECK(both.relative_error() == doctest::Approx(6.0 / 40));
  CHECK(both.worst_group == doctest::Approx(6.0 / 20));

  // With a mean per position the energy differs.
  const std::vector<float> mean{2, 2, 0, 1};
  const CodecLoss centred = measure_loss("features", {2, 1, 2}, 2, raw, decoded, mean);
  CHECK(centred.energy == doctest::Approx(4 * 1 + 4 + 9 + 4 + 1));
  CHECK(centred.json().starts_with("{\"centred_by\": \"basis\""));
}

TEST_CASE("constant features have no relative error") {
  const std::vector<float> raw(12, 5);
  const CodecLoss loss = measure_loss("features", {3, 2, 2}, 1, raw, raw);
  CHECK(loss.relative_error() == 0);
  CHECK(loss.worst_token == 0);
}

TEST_CASE("logits: divergence at two temperatures and agreement of the first class") {
  const std::vector<float> raw{0, 2, 1, 5, 0, 0}, decoded{0, 2, 1, 0, 5, 0};
  const CodecLoss loss = measure_loss("logits", {3}, 2, raw, decoded);
  CHECK(loss.agreeing == 1);
  // The second view swaps two classes: Σ p (log p − log q) = (p0 − p1)(x0 − x1) / τ.
  for (const double temperature : {1.0, 4.0}) {
    const double a = std::exp(5 / temperature), kl = (a - 1) / (a + 2) * 5 / temperature;
    CHECK((temperature == 1 ? loss.worst_kl_1 : loss.worst_kl_4) == doctest::Approx(kl));
    CHECK((temperature == 1 ? loss.kl_1 : loss.kl_4) == doctest::Approx(kl));
  }
  CHECK(has(loss.json(), "\"agreement\": 0.5"));
}

TEST_CASE("large equal logits have no divergence") {
  const std::vector<float> raw{3e38f, -3e38f, 1e30f, 0};
  const CodecLoss loss = measure_loss("logits", {4}, 1, raw, raw);
  CHECK(loss.kl_1 == 0);
  CHECK(loss.agreeing == 1);
}

TEST_CASE("attention: total variation of each head, mean and worst") {
  const std::vector<float> raw{0.5f, 0.5f, 1, 0}, decoded{0.25f, 0.75f, 1, 0.5f};
  const CodecLoss loss = measure_loss("attention", {2, 1, 2}, 1, raw, decoded);
  CHECK(loss.json() == "{\"total_variation\": 0.25, \"worst_total_variation\": 0.25}");
  CHECK(loss.heads == 2);
  CHECK(loss.describe() == "total variation 0.25, worst 0.25");
}

TEST_CASE("the default logits diverge by less than 1e-4 at temperature 4") {
  const std::vector<float> raw = normal_values(64 * 1000, 2);
  CodecSettings settings;
  settings.encoding = Encoding::kUniform, settings.max_error = 1.0 / 64;
  const CodecLoss loss = measure_loss("logits", {1000}, 64, raw, round_trip(*make_codec(settings, {1000}), raw, 64));
  CHECK(loss.kl_4 / 64 < 1e-4);
  CHECK(loss.kl_4 > 0);
}
