// What a teacher's pictures must look like, for weights that do not say: by the families of ViTs that timm publishes.
#ifndef VITRINE_COMMON_TEACHER_PREPROCESSING_H_
#define VITRINE_COMMON_TEACHER_PREPROCESSING_H_

#include <string>
#include <string_view>
#include <vector>

#include "common/models/vit/structure.h"
#include "common/teacher/teacher_options.h"

namespace vitrine {

struct Preprocessing {
  std::vector<double> mean, stddev;  ///< per colour, of pixels in [0, 1]
  double crop_pct = 0.9;             ///< as timm's
  std::string crop_mode = "center";
  std::string interpolation = "bicubic";
};

/// What the family's published weights were trained with: by timm's name of the architecture or of the weights if there
/// is one, else by the structure, which is a guess. `naming`: whose names the weights have (WeightFiles::naming), "" if
/// unknown.
struct UsualPreprocessing {
  Preprocessing values;
  std::string family;              ///< "AugReg", for messages
  bool is_guess = false;           ///< the name is missing, or other weights have it with another mean and std
  bool crop_pct_is_guess = false;  ///< the same of the crop, which differs within most families
};
UsualPreprocessing usual_preprocessing(const VitStructure& structure, std::string_view naming);

/// The mean and std of these families: ImageNet's, 0.5, CLIP's, 0 and 1, and those of satellite pictures.
std::vector<Normalisation> usual_normalisations();

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_PREPROCESSING_H_
