// Eigenvectors of a covariance, computed with the Eigen library. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_EIGEN_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_EIGEN_H_

#include <cstddef>
#include <vector>

namespace vitrine::transform {

/// Eigenvalues of a symmetric matrix, descending, and unit eigenvectors, one per row, each with its largest component
/// positive.
struct SymmetricEigen {
  std::vector<double> values;   ///< [n]
  std::vector<double> vectors;  ///< [n, n]
};

/// `matrix`: [n, n], row-major, only the lower triangle is read. Throws Error when the decomposition fails.
SymmetricEigen symmetric_eigen(std::vector<double> matrix, std::size_t n);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_EIGEN_H_
