// What vitrine-extract is told.
#ifndef VITRINE_EXTRACT_OPTIONS_H_
#define VITRINE_EXTRACT_OPTIONS_H_

#include <cstdint>
#include <string>

#include "common/config/fields.h"
#include "common/image/bad_pictures.h"
#include "common/image/scan.h"
#include "common/plan/plan.h"
#include "common/teacher/teacher.h"

namespace vitrine {

struct ExtractOptions {
  std::string images;                ///< a folder of class folders
  std::string unlabelled;            ///< further images, which have no labels; empty: none
  Labels labels = Labels::kFolders;  ///< kNone: `images` is any folder of images
  std::string cache;                 ///< the cache's directory, made when it is missing
  std::uint32_t first_pass = 0, passes = 1;
  std::string part = "1/1";            ///< "i/n": this process makes every n-th shard, beginning with the i-th; "auto"
  std::uint32_t workers = 0;           ///< 0: one per core
  std::uint32_t check_images = 256;    ///< clean crops on which the teacher is judged first; 0: none
  std::string class_map, class_names;  ///< files for a teacher of other classes (class_map.h), for that judgement alone
  bool allow_chance = false;
  bool allow_mixed = false;                            ///< add to tracks that another kind of machine began
  VerifyImages verify_images = VerifyImages::kSample;  ///< when the cache has an index already
  IndexDepth index_depth = IndexDepth::kDecode;        ///< how far pictures are looked at before the first view
  BadImages bad_images = BadImages::kStop;             ///< when one of them cannot be read later
  double max_bad_share = 0.01;                         ///< of the images that may be skipped
  Decoding decoding;                                   ///< of every picture; a cache has one for all its passes
  TeacherOptions teacher;
  TapOptions taps;
  PlanOptions plan;

  void fields(Fields& f);
  ImageFolders folders() const { return {images, unlabelled, labels}; }
};

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_OPTIONS_H_
