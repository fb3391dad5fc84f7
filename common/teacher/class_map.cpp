#include "common/teacher/class_map.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/base/lines.h"
#include "common/plan/class_names.h"

namespace vitrine {
namespace {

// A line of a file, for messages.
struct Place {
  std::string file;
  std::size_t line;
  std::string describe() const { return text(file, ", line ", line, ": "); }
};

std::string without_comment(const std::string& line) {
  for (std::size_t i = 0; i < line.size(); ++i)
    if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return trimmed(line.substr(0, i));
  return trimmed(line);
}

std::pair<std::string, std::string> two_columns(const std::string& line, const Place& place) {
  std::size_t cut = line.find('\t');
  if (cut == std::string::npos) cut = line.find(' ');
  const std::string first = trimmed(line.substr(0, cut)),
                    second = cut == std::string::npos ? "" : trimmed(line.substr(cut));
  const bool tabs = line.find('\t') != std::string::npos;
  if (second.empty() || second.find('\t') != std::string::npos || (!tabs && second.find(' ') != std::string::npos))
    fail(place.describe(), "\"", line,
         "\" is not two columns; expected a teacher class and a student class, with a tab "
         "between them where names have spaces");
  return {first, second};
}

// Classes by name. A name shared by several classes has the value kNowhere.
using Names = std::map<std::string, std::uint32_t>;

Names numbered(const std::vector<std::string>& names) {
  Names out;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (const auto [at, fresh] = out.emplace(names[i], static_cast<std::uint32_t>(i)); !fresh)
      at->second = ClassMap::kNowhere;
  return out;
}

// `whose`: "teacher" or "student". `count`: its number of classes; 0: unknown.
std::uint32_t class_of(const std::string& word, const Names& names, std::uint32_t count, const char* whose,
                       const Place& place) {
  if (const auto found = names.find(word); found != names.end()) {
    if (found->second != ClassMap::kNowhere) return found->second;
    fail(place.describe(), "several classes of the ", whose, " have the name ", word, "; name them by number");
  }
  std::uint32_t number = 0;
  const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (failure != std::errc() || end != word.data() + word.size())
    fail(place.describe(), word, " is neither a number nor the name of a class of the ", whose,
         names.empty() ? text(", whose names are not known", *whose == 't' ? " (class_names gives them)" : "") : "");
  constexpr std::uint32_t kMax = 1 << 24;  // far above any real number of classes, and small enough to allocate a list
  const std::uint32_t limit = count > 0 ? count : kMax;
  if (number >= limit)
    fail(place.describe(), word, " is not a class of the ", whose, ", which has ", count > 0 ? "" : "at most ", limit,
         " classes, counted from 0");
  return number;
}

// Each of the teacher's classes to the student's of its name. `several(t)`: what is said behind `where` of class t,
// whose name others have too.
template <class Several>
ClassMap match_names(const std::vector<std::string>& teacher, const std::vector<std::string>& student,
                     const std::string& where, const Several& several) {
  const Names students = numbered(student), teachers = numbered(teacher);
  std::vector<std::uint32_t> out(teacher.size(), ClassMap::kNowhere);
  for (std::size_t t = 0; t < teacher.size(); ++t) {
    const auto found = students.find(teacher[t]);
    if (found == students.end()) continue;
    if (teachers.at(teacher[t]) == ClassMap::kNowhere)
      fail(where, several(t), " of the teacher have the name ", teacher[t],
           ", which is a class of the student; choose one of them with a class_map");
    out[t] = found->second;
  }
  return {std::move(out), static_cast<std::uint32_t>(student.size()), where};
}

}  // namespace

ClassMap::ClassMap(std::vector<std::uint32_t> student_of, std::uint32_t student_classes, const std::string& where)
    : column_of_(std::move(student_of)), student_classes_(student_classes) {
  std::vector<std::uint32_t> count(student_classes);
  for (const std::uint32_t student : column_of_) student == kNowhere ? ++dropped_ : ++count.at(student);
  std::vector<std::uint32_t> column(student_classes, kNowhere);
  for (std::uint32_t student = 0; student < student_classes; ++student) {
    if (count[student] == 0) continue;
    column[student] = static_cast<std::uint32_t>(columns_.size());
    columns_.push_back(student);
    single_.push_back(count[student] == 1);
  }
  for (std::uint32_t& of : column_of_)
    if (of != kNowhere) of = column[of];
  if (columns_.size() < 2)
    fail(where, ": maps only ", columns_.size(), " of the student's ", student_classes,
         " classes; expected at least two");
}

std::vector<float> ClassMap::compact(std::span<const float> logits, std::uint32_t views) const {
  const std::size_t from = column_of_.size(), to = columns_.size();
  if (logits.size() != from * views) throw std::logic_error("ClassMap: wrong number of classes");
  std::vector<float> out(to * views, -std::numeric_limits<float>::infinity());
  std::vector<double> sum(to);
  for (std::size_t view = 0; view < views; ++view) {
    const float* x = logits.data() + view * from;
    float* largest = out.data() + view * to;
    for (std::size_t t = 0; t < from; ++t)
      if (column_of_[t] != kNowhere) largest[column_of_[t]] = std::max(largest[column_of_[t]], x[t]);
    std::ranges::fill(sum, 0.0);
    for (std::size_t t = 0; t < from; ++t)
      if (const std::uint32_t c = column_of_[t]; c != kNowhere && !single_[c])
        sum[c] += std::exp(static_cast<double>(x[t]) - largest[c]);
    for (std::size_t c = 0; c < to; ++c)
      if (!single_[c]) largest[c] = static_cast<float>(largest[c] + std::log(sum[c]));
  }
  return out;
}

std::vector<float> ClassMap::whole(std::span<const float> logits, std::uint32_t views) const {
  const std::vector<float> few = compact(logits, views);
  std::vector<float> out(std::size_t{student_classes_} * views, -std::numeric_limits<float>::infinity());
  for (std::size_t view = 0; view < views; ++view)
    for (std::size_t c = 0; c < columns_.size(); ++c)
      out[view * student_classes_ + columns_[c]] = few[view * columns_.size() + c];
  return out;
}

double ClassMap::dropped_probability(std::span<const float> logits, std::uint32_t views) const {
  const std::size_t from = column_of_.size();
  double mean = 0;
  for (std::size_t view = 0; view < views; ++view) {
    const std::span<const float> x = logits.subspan(view * from, from);
    const double largest = std::ranges::max(x);
    double all = 0, dropped = 0;
    for (std::size_t t = 0; t < from; ++t) {
      const double power = std::exp(x[t] - largest);
      all += power;
      if (column_of_[t] == kNowhere) dropped += power;
    }
    mean += dropped / all / views;
  }
  return mean;
}

ClassMap match_class_names(const std::vector<std::string>& teacher, const std::vector<std::string>& student,
                           const std::string& where) {
  return match_names(teacher, student, where, [](std::size_t t) { return text(": class ", t, " and others"); });
}

ClassMap read_class_map(const ClassMapFiles& files, std::uint32_t teacher_classes,
                        const std::vector<std::string>& student_names) {
  if (teacher_classes == 0)
    fail(files.map.empty() ? files.names : files.map,
         ": maps a teacher's classes, but the teacher has no logits; leave out class_map and class_names");
  std::vector<std::string> teacher_names;
  if (!files.names.empty()) teacher_names = read_class_names(files.names, teacher_classes);
  if (files.map.empty()) {
    if (student_names.empty())
      fail(files.names,
           ": cannot be matched with the student's classes, as images without labels have no class names; ",
           "give a class_map of numbers");
    return match_names(teacher_names, student_names, files.names,
                       [](std::size_t t) { return text(", line ", t + 1, ": several classes"); });
  }

  const Names teachers = numbered(teacher_names), students = numbered(student_names);
  auto student_count = static_cast<std::uint32_t>(student_names.size());
  std::vector<std::uint32_t> out(teacher_classes, ClassMap::kNowhere);
  std::vector<std::size_t> mapped_in(teacher_classes, 0);  // line number of each class's mapping
  Place place{files.map, 0};
  std::uint32_t largest = 0;
  for (const std::string& line : read_lines(files.map)) {
    ++place.line;
    const std::string content = without_comment(line);
    if (content.empty()) continue;
    const auto [teacher, student] = two_columns(content, place);
    const std::uint32_t t = class_of(teacher, teachers, teacher_classes, "teacher", place);
    const std::uint32_t s = class_of(student, students, student_count, "student", place);
    if (mapped_in[t] > 0)
      fail(place.describe(), "teacher class ", teacher, " is mapped again, after line ", mapped_in[t],
           "; each teacher class maps to one student class");
    mapped_in[t] = place.line;
    out[t] = s;
    largest = std::max(largest, s);
  }
  if (student_count == 0) student_count = largest + 1;
  return {std::move(out), student_count, files.map};
}

}  // namespace vitrine
