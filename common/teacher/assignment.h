// Maximum-weight one-to-one assignment.
#ifndef VITRINE_COMMON_TEACHER_ASSIGNMENT_H_
#define VITRINE_COMMON_TEACHER_ASSIGNMENT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vitrine {

struct WeightedPair {
  std::uint32_t row = 0, column = 0;
  std::uint32_t weight = 0;  ///< above 0
};

/// Returns the column of each row, each column at most once, such that the sum of the chosen weights is maximal;
/// kUnassigned for rows that add nothing. Deterministic among equal optima. Pairs that are not given have weight 0;
/// each pair may be given once, with row < `rows` and column < `columns`. Uses shortest augmenting paths (Kuhn 1955,
/// Munkres 1957; with Dijkstra's search as in Edmonds and Karp 1972): at most `rows` searches over all pairs.
std::vector<std::uint32_t> best_assignment(std::size_t rows, std::size_t columns,
                                           const std::vector<WeightedPair>& pairs);

inline constexpr std::uint32_t kUnassigned = 0xFFFFFFFF;

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_ASSIGNMENT_H_
