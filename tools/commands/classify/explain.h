// Pictures of where a student looked, and its teacher.
#ifndef VITRINE_TOOLS_COMMANDS_CLASSIFY_EXPLAIN_H_
#define VITRINE_TOOLS_COMMANDS_CLASSIFY_EXPLAIN_H_

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/teacher/teacher.h"
#include "tools/commands/classify/classifier.h"

namespace vitrine {

/// Writes a JPEG for each classified picture: its crop with the Grad-CAM (grad_cam.h) of its likeliest class over it;
/// with a teacher, to the right the same crop with the mean attention of the teacher's last block over it.
class Explainer {
 public:
  /// `teacher`: weights or a folder with them; empty: none. Throws Error if the student is no ResNet with weights, and
  /// for a teacher that cannot be opened or has no attention. Writes nothing.
  Explainer(Classifier& classifier, std::filesystem::path directory, const std::string& teacher);

  /// Creates the directory, which explain() needs. Throws Error.
  void make_directory() const;
  /// The file of the picture `number`, which counts from 1.
  std::filesystem::path file_of(std::size_t number, const std::filesystem::path& picture) const;

  /// Files as file_of() names them, "NUMBER-NAME.jpg", with numbers from `first`; empty for pictures that could not be
  /// read.
  std::vector<std::filesystem::path> explain(std::span<const ClassifiedPicture> pictures, std::size_t first);

 private:
  std::vector<Image> student_maps(std::span<const ClassifiedPicture* const> pictures);
  Image teacher_map(const ClassifiedPicture& picture) const;

  Classifier& classifier_;
  ResNet resnet_{nullptr};
  std::filesystem::path directory_;
  std::unique_ptr<const Teacher> teacher_;
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CLASSIFY_EXPLAIN_H_
