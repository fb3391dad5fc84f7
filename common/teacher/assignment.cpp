#include "common/teacher/assignment.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

namespace vitrine {
namespace {

constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();

// The reduced cost of a pair is -weight minus the potentials of its row and column: never negative, and 0 for chosen
// pairs. Each row also has a private extra column of cost 0, which means unassigned.
class Assignment {
 public:
  Assignment(std::size_t rows, std::size_t columns, const std::vector<WeightedPair>& pairs)
      : columns_(columns),
        pairs_of_(rows),
        row_potential_(rows),
        column_potential_(columns + rows),
        column_of_(rows, kUnassigned),
        row_of_(columns + rows, kUnassigned),
        distance_(columns + rows, kFar),
        from_(columns + rows) {
    for (const WeightedPair& pair : pairs) {
      pairs_of_[pair.row].push_back(pair);
      row_potential_[pair.row] = std::min(row_potential_[pair.row], -std::int64_t{pair.weight});
    }
  }

  // Assigns one more row, reassigning others along the shortest augmenting path.
  void add(std::uint32_t row) {
    reached_.clear(), done_.clear();
    queue_ = {};
    search_from(row, 0);
    std::uint32_t column = nearest();
    for (; row_of_[column] != kUnassigned; column = nearest()) {
      done_.push_back(column);
      search_from(row_of_[column], distance_[column]);
    }
    const std::int64_t shortest = distance_[column];
    row_potential_[row] += shortest;
    for (const std::uint32_t passed : done_) {
      row_potential_[row_of_[passed]] += shortest - distance_[passed];
      column_potential_[passed] -= shortest - distance_[passed];
    }
    for (bool more = true; more;) {
      const std::uint32_t taker = from_[column];
      more = taker != row;
      row_of_[column] = taker;
      std::swap(column_of_[taker], column);
    }
    for (const std::uint32_t other : reached_) distance_[other] = kFar;
  }

  std::vector<std::uint32_t> columns() const {
    std::vector<std::uint32_t> out = column_of_;
    for (std::uint32_t& column : out)
      if (column >= columns_) column = kUnassigned;
    return out;
  }

 private:
  void search_from(std::uint32_t row, std::int64_t distance) {
    for (const WeightedPair& pair : pairs_of_[row]) reach(row, pair.column, distance - std::int64_t{pair.weight});
    reach(row, static_cast<std::uint32_t>(columns_) + row, distance);
  }

  void reach(std::uint32_t row, std::uint32_t column, std::int64_t cost) {
    const std::int64_t distance = cost - row_potential_[row] - column_potential_[column];
    if (distance >= distance_[column]) return;
    if (distance_[column] == kFar) reached_.push_back(column);
    distance_[column] = distance;
    from_[column] = row;
    queue_.emplace(distance, column);
  }

  // Always exists: the private column of the row where the search began is free.
  std::uint32_t nearest() {
    for (;;) {
      const auto [distance, column] = queue_.top();
      queue_.pop();
      if (distance == distance_[column]) return column;
    }
  }

  std::size_t columns_;
  std::vector<std::vector<WeightedPair>> pairs_of_;
  std::vector<std::int64_t> row_potential_, column_potential_;
  std::vector<std::uint32_t> column_of_, row_of_;
  // State of one search: distance and predecessor row of each column, columns reached and columns finished.
  std::vector<std::int64_t> distance_;
  std::vector<std::uint32_t> from_, reached_, done_;
  using Place = std::pair<std::int64_t, std::uint32_t>;
  std::priority_queue<Place, std::vector<Place>, std::greater<>> queue_;
};

}  // namespace

std::vector<std::uint32_t> best_assignment(std::size_t rows, std::size_t columns,
                                           const std::vector<WeightedPair>& pairs) {
  Assignment assignment(rows, columns, pairs);
  for (std::uint32_t row = 0; row < rows; ++row) assignment.add(row);
  return assignment.columns();
}

}  // namespace vitrine
