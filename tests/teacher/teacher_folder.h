// A teacher's folder, for the tests of open_teacher().
#ifndef VITRINE_TESTS_TEACHER_TEACHER_FOLDER_H_
#define VITRINE_TESTS_TEACHER_TEACHER_FOLDER_H_

#include <ATen/ATen.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/models/vit/structure.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "common/teacher/open_teacher.h"
#include "tests/support/files.h"
#include "tests/support/testing.h"

namespace vitrine::testing {

/// A folder with a small ViT of 32 pixels, and perhaps a config.json.
struct TeacherFolder {
  TemporaryDirectory root;
  std::filesystem::path weights = root.path() / "model.safetensors";
  TeacherOptions options;

  TeacherFolder() {
    at::manual_seed(3);
    VitOptions vit;
    vit.arch = "";
    vit.image_size = 32, vit.patch = 8, vit.dim = 16, vit.depth = 2, vit.heads = 2, vit.classes = 3;
    save_safetensors(weights, state_dict(*Vit(vit)));
    options.weights = root.path().string();
    options.heads = 2;
    options.micro_batch = 4;
  }
  void describe(const std::string& json) const { write_whole(root.path() / "config.json", json); }
  OpenedTeacher open() const { return open_teacher(options, at::kCPU); }
};

/// The notes, a line each.
inline std::string all(const std::vector<std::string>& notes) {
  std::string out;
  for (const std::string& note : notes) out += note + "\n";
  return out;
}

/// The structure of the network that was opened.
inline VitStructure structure_of(const OpenedTeacher& teacher) {
  nlohmann::ordered_json settings = to_json(VitStructure());
  settings.update(nlohmann::ordered_json::parse(teacher.network->record().settings));
  return vit_structure_from_json(settings, "record");
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_TEACHER_TEACHER_FOLDER_H_
