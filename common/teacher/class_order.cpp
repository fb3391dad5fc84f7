#include "common/teacher/class_order.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "common/teacher/assignment.h"

namespace vitrine {
namespace {

using Less = std::function<bool(const std::string&, const std::string&)>;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string lower(std::string word) {
  std::ranges::transform(word, word.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

/// Removes the leading run of digits or of other characters from `rest` and returns it.
std::string_view take_run(std::string_view& rest) {
  std::size_t length = 0;
  while (length < rest.size() && is_digit(rest[length]) == is_digit(rest[0])) ++length;
  const std::string_view run = rest.substr(0, length);
  rest.remove_prefix(length);
  return run;
}

/// -1, 0 or 1, for numbers of any length.
int compare_numbers(std::string_view a, std::string_view b) {
  for (std::string_view* word : {&a, &b}) word->remove_prefix(std::min(word->find_first_not_of('0'), word->size()));
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a == b ? 0 : (a < b ? -1 : 1);
}

/// Compares runs of digits by value and others bytewise; numbers come before words.
bool natural_less(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const std::string_view x = take_run(a), y = take_run(b);
    const bool number = is_digit(x[0]);
    if (number != is_digit(y[0])) return number;
    if (const int order = number ? compare_numbers(x, y) : x.compare(y); order != 0) return order < 0;
  }
  return a.empty() && !b.empty();
}

/// Compares leading numbers; names without one come first.
bool numeric_less(std::string_view a, std::string_view b) {
  const auto number = [](std::string_view word) {
    return !word.empty() && is_digit(word[0]) ? take_run(word) : std::string_view("0");
  };
  return compare_numbers(number(a), number(b)) < 0;
}

std::vector<std::uint32_t> sorted_by(const std::vector<std::string>& names, const Less& less) {
  std::vector<std::uint32_t> order(names.size());
  std::iota(order.begin(), order.end(), 0u);
  // break ties bytewise
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    if (less(names[a], names[b])) return true;
    return !less(names[b], names[a]) && names[a] < names[b];
  });
  return order;
}

/// The one-to-one assignment of teacher classes to labels that gets most of the chosen images right.
std::vector<std::uint32_t> assignment(const Answers& answers, std::size_t classes,
                                      const std::function<bool(std::size_t)>& chosen) {
  static_assert(kUnassigned == ClassOrder::kUnknown);
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> counts;
  for (std::size_t i = 0; i < answers.labels.size(); ++i)
    if (chosen(i)) ++counts[{answers.predictions[i], answers.labels[i]}];
  std::vector<WeightedPair> pairs;
  for (const auto& [pair, count] : counts) pairs.push_back({pair.first, pair.second, count});
  return best_assignment(classes, classes, pairs);
}

std::vector<bool> right_in(const Answers& answers, const std::vector<std::uint32_t>& label_of) {
  std::vector<bool> right(answers.labels.size());
  for (std::size_t i = 0; i < right.size(); ++i) right[i] = label_of[answers.predictions[i]] == answers.labels[i];
  return right;
}

double share_of(const std::vector<bool>& right) {
  return static_cast<double>(std::ranges::count(right, true)) / static_cast<double>(right.size());
}

bool better(const std::vector<bool>& other, const std::vector<bool>& given) {
  std::uint64_t gains = 0, losses = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    gains += other[i] && !given[i];
    losses += given[i] && !other[i];
  }
  return beyond_chance(gains, losses);
}

}  // namespace

bool beyond_chance(std::uint64_t gains, std::uint64_t losses) {
  const auto all = static_cast<double>(gains + losses);
  return static_cast<double>(gains) - static_cast<double>(losses) > 3 * std::sqrt(all);
}

std::vector<ClassOrder> tool_orders(const std::vector<std::string>& names) {
  struct Tool {
    const char* name;
    const char* command;
    Less less;
  };
  const Less folded_natural = [](const std::string& a, const std::string& b) {
    return natural_less(lower(a), lower(b));
  };
  const Less folded = [](const std::string& a, const std::string& b) { return lower(a) < lower(b); };
  const Tool tools[] = {{"natural order without case (\"2\" before \"10\", as timm sorts)", "sort -fV", folded_natural},
                        {"bytewise order (\"10\" before \"2\", as torchvision sorts)", "LC_ALL=C sort", std::less<>()},
                        {"natural order (\"2\" before \"10\")", "LC_ALL=C sort -V", natural_less},
                        {"numeric order", "sort -n", numeric_less},
                        {"alphabetical order without case", "LC_ALL=C sort -f", folded}};
  std::vector<std::uint32_t> given(names.size());
  std::iota(given.begin(), given.end(), 0u);
  std::vector<ClassOrder> out;
  for (const Tool& tool : tools) {
    ClassOrder order{tool.name, tool.command, sorted_by(names, tool.less), 0};
    const bool known = order.label_of == given || std::ranges::any_of(out, [&](const ClassOrder& other) {
                         return other.label_of == order.label_of;
                       });
    if (!known) out.push_back(std::move(order));
  }
  return out;
}

std::optional<ClassOrder> better_order(const Answers& answers, const std::vector<std::string>& names) {
  const std::size_t images = answers.labels.size(), classes = names.size();
  if (answers.predictions.size() != images)
    throw std::logic_error("better_order: labels and predictions differ in number");
  if (images == 0) return std::nullopt;
  std::vector<std::uint32_t> given(classes);
  std::iota(given.begin(), given.end(), 0u);
  const std::vector<bool> right = right_in(answers, given);
  std::optional<ClassOrder> best;
  for (ClassOrder& order : tool_orders(names)) {
    const std::vector<bool> other = right_in(answers, order.label_of);
    order.top1 = share_of(other);
    if (better(other, right) && (!best || order.top1 > best->top1)) best = std::move(order);
  }
  if (best) return best;

  std::vector<bool> held_out(images);
  for (const std::size_t half : {0, 1}) {
    const auto label_of = assignment(answers, classes, [&](std::size_t i) { return i % 2 == half; });
    for (std::size_t i = 1 - half; i < images; i += 2)
      held_out[i] = label_of[answers.predictions[i]] == answers.labels[i];
  }
  // A teacher with a constant prediction fits the most frequent label in some order.
  std::vector<std::uint32_t> count(classes);
  for (const std::uint32_t label : answers.labels) ++count[label];
  const auto commonest = static_cast<std::uint32_t>(std::ranges::max_element(count) - count.begin());
  std::vector<bool> constant(images);
  for (std::size_t i = 0; i < images; ++i) constant[i] = answers.labels[i] == commonest;
  if (!better(held_out, right) || !better(held_out, constant)) return std::nullopt;
  return ClassOrder{"", "", assignment(answers, classes, [](std::size_t) { return true; }), share_of(held_out)};
}

}  // namespace vitrine
