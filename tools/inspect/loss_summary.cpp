#include "tools/inspect/loss_summary.h"

#include <algorithm>
#include <iomanip>

#include "common/base/error.h"

namespace vitrine {

void LossSummary::add(const nlohmann::ordered_json& loss, std::uint64_t groups) {
  if (!loss.is_object()) return;
  groups_ += groups;
  for (const auto& [key, value] : loss.items()) {
    const bool there = figures_.contains(key);
    if (!value.is_number()) {
      if (!there) figures_[key] = value;
    } else if (key.starts_with("worst")) {
      figures_[key] = there ? std::max(figures_[key].get<double>(), value.get<double>()) : value.get<double>();
    } else {
      figures_[key] = (there ? figures_[key].get<double>() : 0.0) + value.get<double>() * static_cast<double>(groups);
    }
  }
}

nlohmann::ordered_json LossSummary::json() const {
  nlohmann::ordered_json out = figures_;
  for (auto& [key, value] : out.items())
    if (value.is_number() && !key.starts_with("worst")) value = value.get<double>() / static_cast<double>(groups_);
  return out;
}

std::string loss_words(const nlohmann::ordered_json& loss) {
  std::string words;
  for (const auto& [key, value] : loss.items()) {
    if (!value.is_number()) continue;
    std::string name = key;
    std::ranges::replace(name, '_', ' ');
    words += text(words.empty() ? "" : ", ", name, ' ', std::setprecision(3), value.get<double>());
  }
  return words.empty() ? "not measured" : words;
}

}  // namespace vitrine
