// Maps a teacher's classes to a student's when they differ. Classes without a counterpart are dropped on both sides:
// the teacher's probabilities are conditional on its mapped classes.
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

  /// student_of[t]: the student's class of teacher class t, below `student_classes`, or kNowhere. Throws Error,
  /// starting with `where`, if fewer than two of the student's classes have a counterpart.
  ClassMap(std::vector<std::uint32_t> student_of, std::uint32_t student_classes, const std::string& where);

  std::uint32_t teacher_classes() const { return static_cast<std::uint32_t>(column_of_.size()); }
  std::uint32_t student_classes() const { return student_classes_; }
  /// The student's classes with a counterpart, ascending: the columns of mapped logits.
  const std::vector<std::uint32_t>& columns() const { return columns_; }
  /// Number of teacher classes without a counterpart.
  std::uint32_t dropped() const { return dropped_; }

  /// Maps logits [views, teacher_classes()] to [views, columns().size()]: log Σ exp over the teacher's classes of each
  /// column, so that probabilities at temperature 1 add up. Computed in double and rounded once; the logit of a single
  /// class is unchanged.
  std::vector<float> compact(std::span<const float> logits, std::uint32_t views) const;
  /// The same as [views, student_classes()], with minus infinity for classes without a counterpart.
  std::vector<float> whole(std::span<const float> logits, std::uint32_t views) const;
  /// The teacher's probability, at temperature 1, of classes without a counterpart: mean over views.
  double dropped_probability(std::span<const float> logits, std::uint32_t views) const;

 private:
  std::vector<std::uint32_t> column_of_;  // of each teacher class, or kNowhere
  std::vector<std::uint32_t> columns_;
  std::vector<bool> single_;  // columns with one teacher class
  std::uint32_t student_classes_, dropped_ = 0;
};

/// Two text files, either of which may be empty (not given):
/// - `names`: the teacher's class names, one per line, in class order. Without `map`, each is mapped to the student's
///   class of the same name.
/// - `map`: a teacher class and a student class per line, each by number (from 0) or by name (a name takes precedence
///   if it looks like a number), separated by a tab, or by spaces if names contain none. Several teacher classes may
///   map to one student class. Empty lines and comments (# at the start of a line or after white space) are ignored.
struct ClassMapFiles {
  std::string map, names;
  bool given() const { return !map.empty() || !names.empty(); }
};

/// `student_names`: the names of the student's classes; empty if they have only numbers, and then there are as many as
/// the largest number in the file plus one. Throws Error with file and line, and without line for `teacher_classes` =
/// 0.
ClassMap read_class_map(const ClassMapFiles& files, std::uint32_t teacher_classes,
                        const std::vector<std::string>& student_names);

/// Each of the teacher's classes to the student's class of the same name. Throws Error, starting with `where`, for a
/// student's class whose name several of the teacher's have, and if fewer than two classes have a counterpart.
ClassMap match_class_names(const std::vector<std::string>& teacher, const std::vector<std::string>& student,
                           const std::string& where);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CLASS_MAP_H_
