#include "tools/commands/choose/decide.h"

#include <algorithm>
#include <tuple>

namespace vitrine {
namespace {

bool dominates(const CandidateCost& one, const CandidateCost& other) {
  if (one.latency > other.latency || one.multiply_adds < other.multiply_adds || one.parameters < other.parameters)
    return false;
  return one.latency < other.latency || one.multiply_adds > other.multiply_adds || one.parameters > other.parameters;
}

}  // namespace

std::vector<CandidateCost> worth_training(const std::vector<CandidateCost>& costs, double bound, std::size_t most) {
  std::vector<CandidateCost> out;
  for (const CandidateCost& cost : costs) {
    const auto better = [&](const CandidateCost& other) { return dominates(other, cost); };
    if (cost.latency <= bound && std::ranges::none_of(costs, better)) out.push_back(cost);
  }
  std::ranges::stable_sort(out, std::ranges::greater(), &CandidateCost::latency);
  if (out.size() > most) out.resize(most);
  return out;
}

std::vector<std::size_t> edge_of(const std::vector<TrainedCandidate>& trained) {
  std::vector<std::size_t> order(trained.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {},
                           [&](std::size_t i) { return std::pair(trained[i].cost.latency, -trained[i].score); });
  std::vector<std::size_t> out;
  for (const std::size_t i : order)
    if (out.empty() || trained[i].score > trained[out.back()].score) out.push_back(i);
  return out;
}

std::optional<std::size_t> choose(const std::vector<TrainedCandidate>& trained, double bound) {
  std::optional<std::size_t> out;
  for (const std::size_t i : edge_of(trained))
    if (trained[i].cost.latency <= bound) out = i;
  return out;
}

}  // namespace vitrine
