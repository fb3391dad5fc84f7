// A teacher whose head is in another class order than the class folders: its top-1 is low, yet another order explains
// its answers. Tools sort folders in different ways: torchvision by bytes, timm naturally ("2" before "10") and without
// case.
#ifndef VITRINE_COMMON_TEACHER_CLASS_ORDER_H_
#define VITRINE_COMMON_TEACHER_CLASS_ORDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vitrine {

/// The answers of a teacher with as many classes as there are class folders: of each image its label and the class that
/// the teacher names, both below the number of classes. In random order: every second image is held out.
struct Answers {
  std::vector<std::uint32_t> labels, predictions;
};

struct ClassOrder {
  std::string name;     ///< "natural order without case (as timm sorts)"; empty: none that a tool makes
  std::string command;  ///< that sorts lines so: "sort -fV"; empty with `name`
  /// The label that the teacher's class c stands for; without a name kUnknown where no image told.
  std::vector<std::uint32_t> label_of;
  double top1 = 0;  ///< share of the images that are right in this order, of one without a name on held-out images
  static constexpr std::uint32_t kUnknown = 0xFFFFFFFF;
};

/// The orders that tools make of class folders with these names, other than the given one and each other.
std::vector<ClassOrder> tool_orders(const std::vector<std::string>& names);

/// An order in which the answers fit better than in the given one, beyond chance: among the tools' orders, else the
/// best one-to-one assignment of the teacher's classes to labels, made from one half of the images and judged on the
/// other, and better there too than always naming the commonest label. None when the given order is as good, or images
/// are too few to tell. "Beyond chance": of the images that exactly one of the two gets right, three standard errors
/// more than half.
std::optional<ClassOrder> better_order(const Answers& answers, const std::vector<std::string>& names);

/// Whether `gains` against `losses`, of paired trials, is beyond chance as above.
bool beyond_chance(std::uint64_t gains, std::uint64_t losses);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CLASS_ORDER_H_
