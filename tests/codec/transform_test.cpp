// The transform encoding: its parts, and the error bound in every group.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>

#include "common/base/error.h"
#include "common/codec/loss.h"
#include "common/codec/transform/encoder/eigen.h"
#include "common/codec/transform/encoder/encode.h"
#include "common/codec/transform/entropy.h"
#include "common/codec/transform/items.h"
#include "common/codec/transform/linear.h"
#include "common/codec/transform/nibble_coder.h"
#include "common/codec/transform/payload.h"
#include "common/codec/transform/transform_codec.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has, vitrine::testing::message_of;

namespace {

// Features with a spectrum, smooth over positions, a mean map and heavy-tailed views, like a teacher's.
std::vector<float> features(std::uint32_t views, std::uint32_t c, std::uint32_t h, std::uint32_t w,
                            std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> mixing(std::size_t{c} * c), means(std::size_t{c} * h * w), out;
  std::mt19937 fixed(7);
  for (std::size_t i = 0; i < mixing.size(); ++i)
    mixing[i] = normal(fixed) / std::pow(1.0f + static_cast<float>(i % c), 0.9f);
  for (float& m : means) m = 3 * normal(fixed);
  for (std::uint32_t v = 0; v < views; ++v) {
    const float contrast = std::exp(0.5f * normal(generator));
    std::vector<float> latent(means.size());
    for (std::size_t k = 0; k < c; ++k) {
      const float shared = normal(generator);
      for (std::size_t p = 0; p < h * w; ++p)
        latent[k * h * w + p] = contrast * (0.7f * shared + 0.7f * normal(generator));
    }
    for (std::size_t k = 0; k < c; ++k)
      for (std::size_t p = 0; p < h * w; ++p) {
        float x = means[k * h * w + p];
        for (std::size_t l = 0; l < c; ++l) x += mixing[k * c + l] * latent[l * h * w + p];
        out.push_back(x);
      }
  }
  return out;
}

std::shared_ptr<const FeatureBasis> calibrated(std::uint32_t c, std::uint32_t h, std::uint32_t w,
                                               double max_error = 0.01) {
  Calibrator calibrator(c, h, w);
  calibrator.add(features(64, c, h, w, 1), 64);
  return std::make_shared<const FeatureBasis>(calibrator.finish(max_error, 32));
}

double relative_error(const FeatureBasis& basis, std::span<const float> raw, std::span<const float> decoded) {
  double error = 0, energy = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    error += std::pow(static_cast<double>(decoded[i]) - raw[i], 2);
    energy += std::pow(static_cast<double>(raw[i]) - basis.mean[i % basis.values()], 2);
  }
  return error / energy;
}

std::vector<float> decoded(const TransformCodec& codec, const std::vector<Array>& arrays, std::uint32_t views) {
  std::vector<float> out(codec.basis().values() * views);
  const std::span<const std::byte> payload(arrays[0].bytes);
  codec.decode({&payload, 1}, views, out);
  return out;
}

}  // namespace

TEST_CASE("the eigenvectors of a symmetric matrix are recovered as an orthonormal basis") {
  for (const std::size_t n : {1u, 2u, 3u, 17u, 64u}) {
    std::mt19937 generator(static_cast<std::uint32_t>(n));
    std::normal_distribution<double> normal;
    std::vector<double> matrix(n * n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j) matrix[i * n + j] = matrix[j * n + i] = normal(generator);
    const transform::SymmetricEigen eigen = transform::symmetric_eigen(matrix, n);
    double worst = 0;
    for (std::size_t k = 0; k < n; ++k) {
      if (k > 0) CHECK(eigen.values[k - 1] >= eigen.values[k]);
      for (std::size_t i = 0; i < n; ++i) {
        double product = 0, dot = 0;
        for (std::size_t j = 0; j < n; ++j) {
          product += matrix[i * n + j] * eigen.vectors[k * n + j];
          dot += eigen.vectors[i * n + j] * eigen.vectors[k * n + j];
        }
        worst = std::max({worst, std::fabs(product - eigen.values[k] * eigen.vectors[k * n + i]),
                          std::fabs(dot - (i == k ? 1 : 0))});
      }
    }
    CHECK(worst < 1e-12 * static_cast<double>(n));
  }
}

TEST_CASE("the bound holds in every group, for any shape and bound, and steps are not wasted") {
  struct Shape {
    std::uint32_t c, h, w;
  };
  for (const Shape& shape : {Shape{24, 6, 6}, Shape{16, 1, 1}, Shape{5, 3, 7}, Shape{1, 4, 4}}) {
    const auto basis = calibrated(shape.c, shape.h, shape.w);
    basis->check("basis");
    for (const double bound : {0.3, 0.01, 0.0001}) {
      const TransformCodec codec(basis, bound);
      for (const std::uint32_t views : {1u, 32u, 40u, 64u, 128u}) {
        const std::vector<float> raw = features(views, shape.c, shape.h, shape.w, 10 + views);
        const std::vector<float> back = decoded(codec, codec.encode(raw, views), views);
        const double error = relative_error(*basis, raw, back);
        CHECK(error <= bound * 1.0001);
        if (views > 1 && shape.c > 1) CHECK(error > 0.9 * bound);
        if (raw.size() > 20000) CHECK(error > 0.995 * bound);
      }
    }
  }
}

TEST_CASE("independent channels are not rotated and get a higher confidence; others are rotated") {
  std::mt19937 generator(12);
  std::exponential_distribution<float> exponential;
  const std::uint32_t c = 24, views = 128;
  std::vector<float> apart(std::size_t{views} * c * 36);
  for (std::size_t i = 0; i < apart.size(); ++i)  // Laplace, of variances 1, 1/2, 1/3, ...
    apart[i] = exponential(generator) * (generator() % 2 == 0 ? 1.0f : -1.0f) /
               std::sqrt(1.0f + static_cast<float>(i / 36 % c));
  Calibrator calibrator(c, 6, 6);
  calibrator.add(apart, views);
  const FeatureBasis basis = calibrator.finish(0.01, 32);
  CHECK(std::count(basis.vectors.begin(), basis.vectors.end(), 0.0f) == c * (c - 1));
  CHECK(basis.confidence > FeatureBasis{}.confidence);
  const auto turned = calibrated(c, 6, 6);
  CHECK(turned->confidence < basis.confidence);
  CHECK(std::count(turned->vectors.begin(), turned->vectors.end(), 0.0f) == 0);
}

TEST_CASE("decoded coefficients and features agree, and equal input gives equal bytes") {
  const auto basis = calibrated(24, 6, 6);
  const TransformCodec codec(basis, 0.01);
  const std::vector<float> raw = features(32, 24, 6, 6, 3);
  const std::vector<Array> arrays = codec.encode(raw, 32);
  CHECK(arrays[0].bytes == codec.encode(raw, 32)[0].bytes);
  std::vector<float> coefficients(raw.size()), features_of(raw.size());
  codec.decode_coefficients(arrays[0].bytes, 32, coefficients);
  transform::from_coefficients(*basis, coefficients, 32, features_of);
  CHECK(features_of == decoded(codec, arrays, 32));
  transform::to_coefficients(*basis, raw, 32, coefficients);
  CHECK(codec.encode_coefficients(coefficients, 32) == arrays[0].bytes);
}

TEST_CASE("the error measured on coefficients equals that of features when the basis only rotates channels") {
  for (const bool is_spatial : {false, true})
    for (const double bound : {0.2, 0.01, 1e-4}) {
      FeatureBasis made = *calibrated(24, 6, 6, bound);
      CHECK(made.spatial());
      if (!is_spatial) made.rows.clear(), made.columns.clear();
      CHECK(made.orthonormal());
      const auto basis = std::make_shared<const FeatureBasis>(made);
      const TransformCodec codec(basis, bound);
      const std::vector<float> raw = features(32, 24, 6, 6, 3);
      std::vector<float> coefficients(raw.size()), wanted(raw.size()), back(raw.size());
      const std::vector<Array> arrays = codec.encode(raw, 32, coefficients);
      CHECK(arrays[0].bytes == codec.encode(raw, 32)[0].bytes);
      transform_coefficients(*basis, raw, 32, wanted);
      CHECK(coefficients == wanted);
      codec.decode_coefficients(arrays[0].bytes, 32, back);
      const CodecLoss quick = measure_loss_in_basis({24, 6, 6}, 32, raw, basis->mean, coefficients, back);
      const CodecLoss full = measure_loss("features", {24, 6, 6}, 32, raw, decoded(codec, arrays, 32), basis->mean);
      CHECK(quick.relative_error() == doctest::Approx(full.relative_error()).epsilon(1e-6));
      CHECK(quick.worst_group == doctest::Approx(full.worst_group).epsilon(1e-6));
      CHECK(quick.worst_token ==
            doctest::Approx(full.worst_token).epsilon(1e-5));  // one token: few rounding errors cancel
      CHECK(quick.energy == full.energy);
      CHECK(quick.centred_by_basis);
      made.vectors[5] += 1e-4f;
      CHECK(!made.orthonormal());
    }
}

TEST_CASE("a bound that no step can keep is refused") {
  const auto basis = calibrated(24, 6, 6);
  const std::vector<float> raw = features(32, 24, 6, 6, 3);
  CHECK_THROWS_AS(TransformCodec(basis, 1e-13).encode(raw, 32), Error);
  const TransformCodec exact(basis, 1e-7);  // some magnitudes are close to the maximum
  CHECK(relative_error(*basis, raw, decoded(exact, exact.encode(raw, 32), 32)) < 1.01e-7);
}

TEST_CASE("a group with its energy in one or a few values keeps any bound") {
  const auto basis = calibrated(7, 4, 5);
  const transform::Slots slots(4, 5);
  std::mt19937 generator(5);
  for (const double bound : {0.3, 0.01, 1e-6})
    for (int trial = 0; trial < 40; ++trial) {
      std::vector<float> items(basis->values());
      double energy = 0;
      for (float& y : items) y = std::normal_distribution<float>()(generator);
      for (int giants = 1 + trial % 2; giants > 0; --giants)
        items[generator() % items.size()] = trial % 3 == 0 ? 3e7f : 300.0f;
      for (const float y : items) energy += static_cast<double>(y) * y;
      const auto payload = transform::encode_items(*basis, slots, items, energy, 1, bound);
      std::vector<float> back(items.size());
      TransformCodec(basis, bound).decode_items(std::as_bytes(std::span(payload)), 1, back);
      double error = 0;
      for (std::size_t channel = 0; channel < 7; ++channel)
        for (std::size_t slot = 0; slot < slots.count; ++slot)
          error += std::pow(static_cast<double>(back[channel * slots.count + slots.position[slot]]) -
                                items[channel * slots.count + slot],
                            2);
      CHECK(error <= bound * energy * 1.000001);
    }
}

TEST_CASE("extreme groups are encoded: only the mean, one giant view, values that calibration never saw") {
  const auto basis = calibrated(24, 6, 6);
  const TransformCodec codec(basis, 0.01);
  std::vector<float> raw;
  for (int v = 0; v < 4; ++v) raw.insert(raw.end(), basis->mean.begin(), basis->mean.end());
  CHECK(decoded(codec, codec.encode(raw, 4), 4).size() == raw.size());
  raw = features(4, 24, 6, 6, 4);
  for (std::size_t i = 0; i < basis->values(); ++i) raw[i] *= 1e6f;
  CHECK(relative_error(*basis, raw, decoded(codec, codec.encode(raw, 4), 4)) <= 0.010001);
  std::mt19937 generator(9);
  for (float& x : raw) x = std::normal_distribution<float>(0, 50)(generator);
  CHECK(relative_error(*basis, raw, decoded(codec, codec.encode(raw, 4), 4)) <= 0.010001);
  raw[5] = std::nanf("");
  CHECK_THROWS_AS(codec.encode(raw, 4), Error);
}

TEST_CASE("payloads that no encoder makes are refused: steps, sizes of groups and bases, missing words") {
  const auto basis = calibrated(6, 3, 3);
  const TransformCodec codec(basis, 0.01);
  const std::vector<float> raw = features(8, 6, 3, 3, 3);
  const std::vector<std::byte> payload = codec.encode(raw, 8)[0].bytes;
  std::vector<float> out(basis->values() * 8);
  const auto refusal = [&](const std::vector<std::byte>& bytes) {
    return message_of([&] { codec.decode_items(bytes, 8, out); });
  };
  const auto with = [&](std::size_t at, auto value) {
    std::vector<std::byte> bytes = payload;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    return bytes;
  };
  for (const float step : {0.0f, -1.0f, 1e-40f, std::nextafter(0x1p-110f, 0.0f), std::nextafter(0x1p70f, 1e30f), 3e38f,
                           std::numeric_limits<float>::infinity(), std::nanf("")})
    CHECK(has(refusal(with(4, step)), "its step is out of range"));
  for (const float step : {0x1p-110f, 0x1p70f}) {  // the largest magnitude can be decoded
    CHECK(refusal(with(4, step)) == "");
    CHECK(std::ranges::all_of(out, [](float x) { return std::isfinite(x); }));
    CHECK(std::isfinite(step / 8 * static_cast<float>(transform::level_eighths(65535, false))));
  }

  // Missing words are detected at the first plane, not after the last.
  std::uint32_t entropy_bytes;
  std::memcpy(&entropy_bytes, payload.data() + 32, sizeof entropy_bytes);
  REQUIRE(entropy_bytes > 4 * transform::kStates + 8);
  std::vector<std::byte> shorter(payload.begin(), payload.end() - 2);
  for (const auto& [at, value] :
       {std::pair{std::size_t{0}, payload.size() - 2}, {std::size_t{32}, std::size_t{entropy_bytes} - 2}}) {
    const auto word = static_cast<std::uint32_t>(value);
    std::memcpy(shorter.data() + at, &word, sizeof word);
  }
  CHECK(has(refusal(shorter), "its entropy coder did not end where it began"));
  transform::NibbleDecoder decoder(
      {reinterpret_cast<const std::uint8_t*>(payload.data() + payload.size() - entropy_bytes), 4 * transform::kStates});
  std::vector<std::uint8_t> packed(1 << 17);
  CHECK(!decoder.take(1 << 20, 30, packed.data()));

  // Group sizes beyond 32 bits are an error before memory is allocated.
  const transform::Slots slots(3, 3);
  transform::ItemDecoder items;
  for (const std::uint32_t views : {0u, (1u << 29) / 54 + 1, ~0u})
    CHECK(has(message_of([&] { items.begin(*basis, slots, payload, views); }), "its group has an impossible size"));
  for (const auto& [c, h, w] : {std::array{1u, 65536u, 65536u},
                                {1u, 65537u, 65536u},
                                {1u << 28, 1u, 4u},
                                {0u, 1u, 1u},
                                {1u, 0u, 5u},
                                {~0u, ~0u, ~0u}}) {
    FeatureBasis wrapped = *basis;
    wrapped.channels = c, wrapped.height = h, wrapped.width = w;
    CHECK(has(message_of([&] { wrapped.check("basis.h5"); }), "basis.h5: a basis of"));
  }
}

TEST_CASE("a damaged payload gives an error or other numbers, and never crashes") {
  const auto basis = calibrated(6, 3, 3);
  // The second has low bits, escapes, and halves of more than two steps.
  for (const auto& [bound, views] : {std::pair{0.01, 8u}, {1e-7, 40u}}) {
    const TransformCodec codec(basis, bound);
    std::vector<float> raw = features(views, 6, 3, 3, 3);
    raw[5] *= 300;
    const std::vector<Array> arrays = codec.encode(raw, views);
    std::vector<float> out(basis->values() * views);
    std::size_t refused = 0;
    const std::size_t bits = arrays[0].bytes.size() * 8;
    for (std::size_t bit = 0; bit < bits; ++bit) {
      std::vector<std::byte> bytes = arrays[0].bytes;
      bytes[bit / 8] ^= std::byte{static_cast<unsigned char>(1u << bit % 8)};
      try {
        codec.decode_coefficients(bytes, views, out);
      } catch (const Error&) {
        ++refused;
      }
    }
    CHECK(refused > bits / 4);
    CHECK(refused < bits);
    for (std::size_t size = 0; size < arrays[0].bytes.size(); ++size)
      CHECK_THROWS_AS(codec.decode_coefficients(std::span(arrays[0].bytes).first(size), views, out), Error);
  }
}
