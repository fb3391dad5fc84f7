// evaluation.json of a run: its student evaluated image by image. `vitrine-report RUN --evaluate` writes it, with
// pictures, so that later pages need neither images nor weights.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_RUN_EVALUATION_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_RUN_EVALUATION_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vitrine {

struct ClassScore {
  std::string name;
  std::uint64_t images = 0, right = 0;
  double share() const { return images > 0 ? static_cast<double>(right) / static_cast<double>(images) : 0; }
};

struct Answer {
  std::string name;  ///< of the class, or "class 3" where names are unknown
  double probability = 0;
};

struct HardPicture {
  std::string id;                        ///< path in the folder of images
  std::string label;                     ///< name of its class; empty: unlabelled
  double loss = 0;                       ///< RunEvaluation::loss_of
  std::vector<Answer> student, teacher;  ///< the most probable classes, best first; teacher: empty without one
  /// JPEGs as data URIs; empty where there is none (a ViT student has no Grad-CAM).
  std::string picture, student_map, teacher_map;
};

struct RunEvaluation {
  std::string weights;  ///< the file that was evaluated, in a folder of the run, as its path was given then
  std::string weights_sha256;
  std::string about;    ///< of the weights: their step and how they were chosen
  std::string folder;   ///< of images
  std::string teacher;  ///< its name; empty: none was at hand
  std::string loss_of;  ///< what HardPicture::loss is: "cross entropy with the label", ...
  std::uint64_t images = 0, left_out = 0;
  std::optional<double> top1, top5, calibration_error, confidence, agreement;  ///< in [0, 1]
  std::optional<double> loss;                                                  ///< mean over the images
  std::vector<ClassScore> classes;   ///< in the order of the model's outputs; none without labels
  std::vector<HardPicture> hardest;  ///< the largest loss first
};

/// Published in the run's directory.
void write_evaluation(const std::filesystem::path& run, const RunEvaluation& evaluation);

/// Nothing where there is none. Throws Error: kCorrupt for a damaged file, which includes pictures that are not JPEGs
/// in base64, kNewer for one of a newer version.
std::optional<RunEvaluation> read_evaluation(const std::filesystem::path& run);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_RUN_EVALUATION_H_
