// The configuration of vitrine-extract.
#ifndef VITRINE_EXTRACT_OPTIONS_H_
#define VITRINE_EXTRACT_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/fields.h"
#include "common/image/bad_pictures.h"
#include "common/image/scan.h"
#include "common/plan/plan.h"
#include "common/teacher/teacher.h"

namespace vitrine {

struct ExtractOptions {
  std::string images;                ///< a folder of class folders
  std::string unlabelled;            ///< additional images without labels; empty: none
  Labels labels = Labels::kFolders;  ///< kNone: `images` is any folder of images
  double hold_out = 0;               ///< share of `images` that is left for validation (common/image/hold_out.h)
  std::string cache;                 ///< directory of the cache, created if missing
  std::uint32_t first_pass = 0, passes = 1;
  std::string part = "1/1";            ///< "i/n": this process makes every n-th shard, starting with the i-th; "auto"
  std::uint32_t workers = 0;           ///< 0: one per core
  std::uint32_t check_images = 256;    ///< clean crops on which the teacher is checked first; 0: no check
  std::string class_map, class_names;  ///< files for a teacher of other classes (class_map.h); its names are recorded
  bool allow_chance = false;
  bool allow_empty = false;                            ///< class folders without a readable image
  bool allow_mixed = false;                            ///< continue tracks that another kind of machine began
  VerifyImages verify_images = VerifyImages::kSample;  ///< how many images are compared with an existing index
  IndexDepth index_depth = IndexDepth::kDecode;        ///< how much of each picture is checked in advance
  BadImages bad_images = BadImages::kStop;             ///< when a picture of the index cannot be read
  double max_bad_share = 0.01;                         ///< of the images that may be skipped
  Decoding decoding;                                   ///< of every picture; fixed for a cache
  TeacherOptions teacher;
  TapOptions taps;
  PlanOptions plan;

  void fields(Fields& f);
  ImageFolders folders() const;
};

/// Sets what the words of --allow allow: "chance", "empty", "mixed" (the keys allow_chance, allow_empty and
/// allow_mixed), "module" (TeacherOptions::allow_module). Each list has words between commas. Throws Error for another
/// word.
void take_allowed_words(std::vector<std::string> lists, ExtractOptions& options);
/// The words, for --help.
inline constexpr const char* kAllowHelp =
    "continue anyway: chance, with a teacher that scores at chance or fits another class order better; empty, with "
    "class folders that hold no readable image; mixed, with tracks begun with another GPU, CPU, library version or "
    "micro-batch; module, by running the code in teacher.module";

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_OPTIONS_H_
