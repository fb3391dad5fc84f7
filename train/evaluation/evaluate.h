// Evaluates a model on clean crops of a folder of images (shorter side resized, centre cropped): top-1 and top-5.
#ifndef VITRINE_TRAIN_EVALUATION_EVALUATE_H_
#define VITRINE_TRAIN_EVALUATION_EVALUATE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tbb/task_arena.h>

#include "common/base/stop.h"
#include "common/eval/accuracy.h"
#include "common/image/transform.h"
#include "common/image/scan.h"
#include "common/image/views.h"
#include "common/plan/image_index.h"
#include "train/student/network.h"

namespace vitrine {

/// The classes of the evaluated model, in the order of its outputs.
struct ModelClasses {
  std::vector<std::string> names;  ///< empty: unknown
  std::size_t count = 0;
  std::string model = "the student";  ///< for messages
};

/// The model's class, by name, of each of `folders`, the class folders of `where`. Throws Error for one that the model
/// does not know.
std::vector<std::uint32_t> match_classes(const std::vector<std::string>& folders, const std::string& where,
                                         const ModelClasses& classes);

/// The part of a run's options that says how images are presented to the model.
struct EvaluationOptions {
  int size = 224;                                      ///< side of the model's square input, in pixels
  double crop_pct = 0.9;                               ///< of the resized picture, in (0, 1]
  std::vector<double> mean = {0.485, 0.456, 0.406};    ///< subtracted from each colour in [0, 1]
  std::vector<double> stddev = {0.229, 0.224, 0.225};  ///< each colour is divided by it
  Decoding decoding;                                   ///< of the pictures
  std::string precision = "fp32";                      ///< of the forward (common/models/precision.h)
  std::uint32_t workers = 0;                           ///< decoding threads; 0: those of the process's arena
};

/// One folder, scanned once and evaluated any number of times. Constructors and loops throw Stopped between two files
/// or two batches once `stop` is set.
class Evaluation {
 public:
  /// A folder of class folders, matched with the model's classes by name: it may have fewer of them, even one, in any
  /// order. Throws Error for a class folder that the model does not know. When the model's class names are unknown, the
  /// folder's classes are assumed to be the model's in the order of their names, with a note; throws Error when their
  /// numbers differ.
  Evaluation(const ImageFolders& folder, const ModelClasses& classes, const EvaluationOptions& options,
             const StopFlag& stop = never_stop());
  /// A folder with any classes, or with Labels::kNone any images. Pictures are decoded as options.decoding says.
  Evaluation(const ImageFolders& folder, const EvaluationOptions& options, const StopFlag& stop = never_stop());

  /// Decodes on options.workers threads and leaves the network in evaluation mode. Unreadable images are not counted;
  /// throws Error when none can be read.
  Accuracy run(Network& network, at::Device device, const StopFlag& stop = never_stop()) const;
  /// Calls `visit(logits, labels, images)` for each batch: logits [N, classes] and labels int64 [N] (-1: none) on the
  /// device, and the N images' positions in the index, ascending. Unreadable images are skipped.
  using Visit =
      std::function<void(const at::Tensor& logits, const at::Tensor& labels, std::span<const std::uint32_t> images)>;
  void visit(Network& network, at::Device device, const Visit& visit, const StopFlag& stop = never_stop()) const;

  /// With the model's classes and labels where those are known.
  const ImageIndex& index() const { return *index_; }
  struct Crops {
    at::Tensor pictures;                ///< uint8 [N, size, size, 3]
    std::vector<std::uint32_t> images;  ///< the N requested images that can be read
  };
  /// Clean crops of `images`; size and crop may be another model's.
  Crops crops(std::span<const std::uint32_t> images, int size, const CleanCrop& crop) const;
  /// What the scan left out and the images that could not be read since, sorted by path.
  std::vector<LeftOut> left_out() const;

 private:
  /// An index, and what the scan left out.
  struct Scanned {
    std::shared_ptr<const ImageIndex> index;
    std::vector<LeftOut> left_out;
  };
  static Scanned scanned(const ImageFolders& folder, const Decoding& decoding, const StopFlag& stop);
  static Scanned scanned(const ImageFolders& folder, const ModelClasses& classes, const Decoding& decoding,
                         const StopFlag& stop);
  Evaluation(const ImageFolders& folder, Scanned scanned, const EvaluationOptions& options);

  ImageFolders folder_;
  std::shared_ptr<const ImageIndex> index_;
  std::vector<LeftOut> left_out_;
  std::shared_ptr<BadPictures> bad_;
  ViewMaker views_;
  EvaluationOptions options_;
  mutable tbb::task_arena arena_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_EVALUATION_EVALUATE_H_
