// A teacher of other classes than the student's, more or fewer: which of its classes is which of the student's. What
// has no counterpart on the other side is left out on both: the teacher's probabilities are those given that it is one
// of the mapped classes.
#ifndef VITRINE_COMMON_TEACHER_CLASS_MAP_H_
#define VITRINE_COMMON_TEACHER_CLASS_MAP_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrine {

class ClassMap {
 public:
  static constexpr std::uint32_t kNowhere = 0xFFFFFFFF;

  /// student_of[t]: the student's class of teacher class t, below `student_classes`, or kNowhere. Throws Error, which
  /// begins with `where`, when fewer than two of the student's classes have a counterpart.
  ClassMap(std::vector<std::uint32_t> student_of, std::uint32_t student_classes, const std::string& where);

  std::uint32_t teacher_classes() const { return static_cast<std::uint32_t>(column_of_.size()); }
  std::uint32_t student_classes() const { return student_classes_; }
  /// The student's classes that have a counterpart, ascending: what the columns of mapped logits are.
  const std::vector<std::uint32_t>& columns() const { return columns_; }
  /// The teacher's classes that have none.
  std::uint32_t dropped() const { return dropped_; }

  /// Logits [views, teacher_classes()] to [views, columns().size()]: log Σ exp over the teacher's classes of a column
  /// (in double, rounded once; of a single class its logit as it is), so that probabilities at temperature 1 add up.
  std::vector<float> compact(std::span<const float> logits, std::uint32_t views) const;
  /// The same as [views, student_classes()], minus infinity where there is no counterpart.
  std::vector<float> whole(std::span<const float> logits, std::uint32_t views) const;
  /// The probability, at temperature 1, of the teacher's classes without a counterpart: mean over views.
  double dropped_probability(std::span<const float> logits, std::uint32_t views) const;

 private:
  std::vector<std::uint32_t> column_of_;  // of each teacher class, or kNowhere
  std::vector<std::uint32_t> columns_;
  std::vector<bool> single_;  // columns of one teacher class
  std::uint32_t student_classes_, dropped_ = 0;
};

/// Two text files, either of which may be empty (not given):
/// - `names`: the teacher's class names, one per line, in its order. Without `map`, each is mapped to the student's
/// class
///   of the same name.
/// - `map`: a teacher class and a student class a line, each by number (from 0) or by name (which comes first, where a
///   name looks like a number); separated by a tab, or by spaces where names have none. Several teacher classes may
///   have one student class. Empty lines, and what follows a # at a line's beginning or after white space, are
///   comments.
struct ClassMapFiles {
  std::string map, names;
  bool given() const { return !map.empty() || !names.empty(); }
};

/// `student_names`: of the student's classes; none, when they are known by number alone and their number is the largest
/// in the file and one. Throws Error with file and line.
ClassMap read_class_map(const ClassMapFiles& files, std::uint32_t teacher_classes,
                        const std::vector<std::string>& student_names);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CLASS_MAP_H_
