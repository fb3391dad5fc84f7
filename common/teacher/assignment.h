// One-to-one assignment of the greatest weight.
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

/// The column of each row, each column at most once, so that the sum of the chosen pairs' weights is the greatest that
/// there is; kUnassigned for rows that add nothing. Which of several such is a function of the arguments. Pairs that
/// are not given weigh 0; each may be given once, with its row below `rows` and its column below `columns`. By shortest
/// augmenting paths (Kuhn 1955, Munkres 1957; with Dijkstra's search as Edmonds and Karp 1972): at most `rows` searches
/// of all pairs.
std::vector<std::uint32_t> best_assignment(std::size_t rows, std::size_t columns,
                                           const std::vector<WeightedPair>& pairs);

inline constexpr std::uint32_t kUnassigned = 0xFFFFFFFF;

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_ASSIGNMENT_H_
