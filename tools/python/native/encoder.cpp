#pragma GCC visibility push(default)  // everything else is hidden
#include "tools/python/native/encoder.h"
#pragma GCC visibility pop

#include <algorithm>
#include <cmath>
#include <exception>
#include <span>
#include <vector>

#include "common/base/error.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "common/codec/transform/encoder/eigen.h"
#include "common/codec/transform/transform_codec.h"
#include "tools/python/native/handle.h"

struct vitrine_calibrator {
  vitrine::Calibrator calibrator;
  std::uint32_t channels, height, width;
};

namespace {

thread_local vitrine_eigen eigen_of_caller = nullptr;  // while vitrine_calibrator_finish() runs

template <class Number>
void copy_to(const std::vector<Number>& numbers, Number* out) {
  std::ranges::copy(numbers, out);
}

}  // namespace

// Instead of the codec's own, which uses the Eigen library.
vitrine::transform::SymmetricEigen vitrine::transform::symmetric_eigen(std::vector<double> matrix, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) matrix[i * n + j] = matrix[j * n + i];
  SymmetricEigen out{std::vector<double>(n), std::vector<double>(n * n)};
  if (eigen_of_caller == nullptr || eigen_of_caller(matrix.data(), n, out.values.data(), out.vectors.data()) != 0)
    fail("the eigendecomposition of the features' covariance failed; check that the features are finite");
  for (std::size_t k = 0; k < n; ++k) {
    const std::span<double> vector = std::span(out.vectors).subspan(k * n, n);
    const double largest = *std::ranges::max_element(vector, {}, [](double component) { return std::fabs(component); });
    if (largest < 0)
      for (double& component : vector) component = -component;
  }
  return out;
}

int vitrine_encode(const vitrine_decoder* decoder, const float* values, std::uint32_t views, double max_error,
                   std::uint8_t* payload, std::size_t payload_capacity, std::size_t* bytes, char* message,
                   std::size_t message_capacity) try {
  const vitrine::TransformCodec codec(decoder->basis, max_error);
  const std::vector<vitrine::Array> arrays = codec.encode(std::span(values, codec.basis().values() * views), views);
  const std::vector<std::byte>& made = arrays.at(0).bytes;
  if (made.size() > payload_capacity) vitrine::fail("the payload has ", made.size(), " bytes; give a larger buffer");
  std::ranges::copy(made, reinterpret_cast<std::byte*>(payload));
  *bytes = made.size();
  return 0;
} catch (const std::exception& problem) {
  vitrine_tell(problem, message, message_capacity);
  return 1;
}

vitrine_calibrator* vitrine_calibrator_new(std::uint32_t channels, std::uint32_t height, std::uint32_t width,
                                           char* message, std::size_t message_capacity) try {
  return new vitrine_calibrator{vitrine::Calibrator(channels, height, width), channels, height, width};
} catch (const std::exception& problem) {
  vitrine_tell(problem, message, message_capacity);
  return nullptr;
}

void vitrine_calibrator_free(vitrine_calibrator* calibrator) {
  delete calibrator;
}

int vitrine_calibrator_add(vitrine_calibrator* calibrator, const float* values, std::uint32_t views, char* message,
                           std::size_t message_capacity) try {
  const std::size_t each = std::size_t{calibrator->channels} * calibrator->height * calibrator->width;
  calibrator->calibrator.add(std::span(values, each * views), views);
  return 0;
} catch (const std::exception& problem) {
  vitrine_tell(problem, message, message_capacity);
  return 1;
}

int vitrine_calibrator_finish(const vitrine_calibrator* calibrator, double max_error, std::uint32_t group,
                              vitrine_eigen eigen, float* mean, float* vectors, float* eigenvalues, float* rows,
                              float* columns, std::int16_t* scale, std::uint16_t* expected, std::uint8_t* levels,
                              std::uint16_t* confidence, int* spatial, char* message,
                              std::size_t message_capacity) try {
  eigen_of_caller = eigen;
  const vitrine::FeatureBasis basis = calibrator->calibrator.finish(max_error, group);
  eigen_of_caller = nullptr;
  copy_to(basis.mean, mean), copy_to(basis.vectors, vectors), copy_to(basis.eigenvalues, eigenvalues);
  copy_to(basis.rows, rows), copy_to(basis.columns, columns);
  copy_to(basis.scale, scale), copy_to(basis.expected, expected), copy_to(basis.levels, levels);
  *confidence = basis.confidence;
  *spatial = basis.spatial() ? 1 : 0;
  return 0;
} catch (const std::exception& problem) {
  eigen_of_caller = nullptr;
  vitrine_tell(problem, message, message_capacity);
  return 1;
}
