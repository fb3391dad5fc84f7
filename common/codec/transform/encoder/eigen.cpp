#include "common/codec/transform/encoder/eigen.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "common/base/error.h"

namespace vitrine::transform {

SymmetricEigen symmetric_eigen(std::vector<double> matrix, std::size_t n) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto size = static_cast<Eigen::Index>(n);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(Eigen::Map<const Matrix>(matrix.data(), size, size));
  if (solver.info() != Eigen::Success)
    fail("the eigendecomposition of the features' covariance failed; check that the features are finite");
  SymmetricEigen out;
  for (Eigen::Index k = size; k-- > 0;) {  // Eigen sorts ascending
    out.values.push_back(solver.eigenvalues()[k]);
    const Eigen::VectorXd vector = solver.eigenvectors().col(k);
    Eigen::Index largest = 0;
    vector.cwiseAbs().maxCoeff(&largest);
    const double sign = vector[largest] < 0 ? -1 : 1;
    for (Eigen::Index i = 0; i < size; ++i) out.vectors.push_back(sign * vector[i]);
  }
  return out;
}

}  // namespace vitrine::transform
