#include "common/codec/transform/linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "common/base/error.h"
#include "common/codec/transform/loops.h"

namespace vitrine::transform {

void multiply(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n) {
  products().multiply(a, b, c, m, k, n);
}

void multiply_some(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n,
                   std::span<const std::uint32_t> rows) {
  products().multiply_some(a, b, c, m, k, n, rows.data(), rows.size());
}

void add_products(const float* x, double* c, std::size_t m, std::size_t n) {
  products().add_products(x, c, m, n);
}

void transpose(const float* in, float* out, std::size_t rows, std::size_t columns) {
  constexpr std::size_t kTile = 16;
  for (std::size_t i = 0; i < rows; i += kTile)
    for (std::size_t j = 0; j < columns; j += kTile)
      for (std::size_t r = i; r < std::min(rows, i + kTile); ++r)
        for (std::size_t s = j; s < std::min(columns, j + kTile); ++s) out[s * rows + r] = in[r * columns + s];
}

namespace {

// a becomes the orthogonal matrix Q with QᵀAQ tridiagonal, columns its vectors; d its diagonal, e[1..] its subdiagonal.
void tridiagonalise(std::vector<double>& a, std::vector<double>& d, std::vector<double>& e, std::size_t n) {
  const auto at = [&a, n](std::size_t i, std::size_t j) -> double& { return a[i * n + j]; };
  for (std::size_t i = n; i-- > 1;) {
    double h = 0, size = 0;
    for (std::size_t k = 0; k < i; ++k) size += std::fabs(at(i, k));
    if (i == 1 || size == 0) {
      e[i] = at(i, i - 1);
      d[i] = 0;
      continue;
    }
    for (std::size_t k = 0; k < i; ++k) {
      at(i, k) /= size;
      h += at(i, k) * at(i, k);
    }
    const double f = at(i, i - 1), g = f >= 0 ? -std::sqrt(h) : std::sqrt(h);
    e[i] = size * g;
    h -= f * g;
    at(i, i - 1) = f - g;  // the Householder vector u stands in row i
    // p = A u / h from the lower triangle, row by row.
    std::fill(e.begin(), e.begin() + static_cast<std::ptrdiff_t>(i), 0.0);
    for (std::size_t j = 0; j < i; ++j) {
      double sum = at(j, j) * at(i, j);
      for (std::size_t k = 0; k < j; ++k) {
        sum += at(j, k) * at(i, k);
        e[k] += at(j, k) * at(i, j);
      }
      e[j] += sum;
    }
    double up = 0;
    for (std::size_t j = 0; j < i; ++j) {
      e[j] /= h;
      up += e[j] * at(i, j);
    }
    const double half = up / (2 * h);
    for (std::size_t j = 0; j < i; ++j) e[j] -= half * at(i, j);
    for (std::size_t j = 0; j < i; ++j)
      for (std::size_t k = 0; k <= j; ++k) at(j, k) -= at(i, j) * e[k] + e[j] * at(i, k);
    d[i] = h;
  }
  // Q from the vectors that were kept, growing from the corner.
  d[0] = 0;
  e[0] = 0;
  std::vector<double> g(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (d[i] != 0) {
      std::fill_n(g.begin(), i, 0.0);
      for (std::size_t k = 0; k < i; ++k)
        for (std::size_t j = 0; j < i; ++j) g[j] += at(i, k) * at(k, j);
      for (std::size_t k = 0; k < i; ++k) {
        const double factor = at(i, k) / d[i];
        for (std::size_t j = 0; j < i; ++j) at(k, j) -= g[j] * factor;
      }
    }
    d[i] = at(i, i);
    at(i, i) = 1;
    for (std::size_t k = 0; k < i; ++k) at(k, i) = at(i, k) = 0;
  }
}

// d, e and the rows of v (Qᵀ) become eigenvalues and eigenvectors.
void implicit_ql(std::vector<double>& d, std::vector<double>& e, std::vector<double>& v, std::size_t n) {
  std::rotate(e.begin(), e.begin() + 1, e.end());
  e[n - 1] = 0;
  for (std::size_t l = 0; l < n; ++l)
    for (int round = 0;; ++round) {
      std::size_t m = l;
      for (; m + 1 < n; ++m) {
        const double scale = std::fabs(d[m]) + std::fabs(d[m + 1]);
        if (std::fabs(e[m]) <= std::numeric_limits<double>::epsilon() * scale) break;
      }
      if (m == l) break;
      if (round == 100)
        fail(
            "the features' covariance has no eigenvectors that can be computed; check that features are ordinary "
            "numbers");
      double g = (d[l + 1] - d[l]) / (2 * e[l]), r = std::hypot(g, 1.0);
      g = d[m] - d[l] + e[l] / (g + std::copysign(r, g));
      double s = 1, c = 1, p = 0;
      bool split = false;
      for (std::size_t i = m; i-- > l;) {
        const double f = s * e[i], b = c * e[i];
        e[i + 1] = r = std::hypot(f, g);
        if (r == 0) {
          d[i + 1] -= p;
          e[m] = 0;
          split = true;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        double *low = v.data() + i * n, *high = low + n;
        for (std::size_t k = 0; k < n; ++k) {
          const double h = high[k];
          high[k] = s * low[k] + c * h;
          low[k] = c * low[k] - s * h;
        }
      }
      if (split) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
}

}  // namespace

Eigen symmetric_eigen(std::vector<double> matrix, std::size_t n) {
  std::vector<double> d(n), e(n);
  tridiagonalise(matrix, d, e, n);
  std::vector<double> v(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) v[j * n + i] = matrix[i * n + j];
  implicit_ql(d, e, v, n);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&d](std::size_t a, std::size_t b) { return d[a] > d[b]; });
  Eigen out;
  for (const std::size_t k : order) {
    out.values.push_back(d[k]);
    const double* row = v.data() + k * n;
    const double* largest =
        std::max_element(row, row + n, [](double a, double b) { return std::fabs(a) < std::fabs(b); });
    const double sign = *largest < 0 ? -1 : 1;
    for (std::size_t i = 0; i < n; ++i) out.vectors.push_back(sign * row[i]);
  }
  return out;
}

}  // namespace vitrine::transform
