// Detects a teacher whose head has another class order than the class folders: its top-1 is low, but another order
// explains its predictions. Tools sort folders differently: torchvision bytewise, timm naturally ("2" before "10") and
// ignoring case.
#ifndef VITRINE_COMMON_TEACHER_CLASS_ORDER_H_
#define VITRINE_COMMON_TEACHER_CLASS_ORDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vitrine {

/// Labels and predicted classes of the images, both below the number of class folders, which equals the teacher's
/// number of classes. In random order: every second image is held out.
struct Answers {
  std::vector<std::uint32_t> labels, predictions;
};

struct ClassOrder {
  std::string name;     ///< "natural order without case (as timm sorts)"; empty: not a tool's order
  std::string command;  ///< shell command that sorts lines this way: "sort -fV"; empty if `name` is
  /// The label that corresponds to the teacher's class c; kUnknown if there is no name and no image determines it.
  std::vector<std::uint32_t> label_of;
  double top1 = 0;  ///< accuracy in this order; without a name, on held-out images
  static constexpr std::uint32_t kUnknown = 0xFFFFFFFF;
};

/// The orders in which common tools sort these class folders, if different from the given order and from each other.
std::vector<ClassOrder> tool_orders(const std::vector<std::string>& names);

/// An order that fits the predictions better than the given one, beyond chance. Tries the tools' orders, then the best
/// one-to-one assignment of teacher classes to labels, fitted on one half of the images and evaluated on the other; it
/// must also beat always predicting the most frequent label. nullopt if the given order is as good or there are too few
/// images. "Beyond chance": of the images that exactly one of the two gets right, three standard errors more than half.
std::optional<ClassOrder> better_order(const Answers& answers, const std::vector<std::string>& names);

/// Whether paired trials with `gains` and `losses` differ beyond chance, as defined above.
bool beyond_chance(std::uint64_t gains, std::uint64_t losses);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CLASS_ORDER_H_
