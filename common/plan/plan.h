// A plan: every recipe of every pass, as a pure function of the index, the seed and the settings, which are all that is
// stored. Any view can be computed from its position alone, on any machine, in any order. A plan is identified by its
// hash.
#ifndef VITRINE_COMMON_PLAN_PLAN_H_
#define VITRINE_COMMON_PLAN_PLAN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/config/fields.h"
#include "common/plan/image_index.h"
#include "common/plan/recipe.h"
#include "common/plan/shard_layout.h"

namespace vitrine {

enum class Resize {
  kCrop,       ///< a random crop, resized to a square
  kLetterbox,  ///< the whole picture at its own ratio, padded to a square: for dense students (draw_letterbox())
};

/// Distribution of views. Defaults are DeiT's (H. Touvron et al., ICML 2021).
struct PlanOptions {
  std::uint64_t seed = 0;    ///< below 2^63, the largest that TOML holds
  std::uint32_t group = 64;  ///< even: the views at positions i and group - 1 - i are partners
  std::uint32_t shard_groups = 64;
  std::uint32_t image_size = 224;                   ///< side of the teacher's input
  double min_area = 0.08, max_area = 1;             ///< of the crop, as shares of the image's
  double min_ratio = 3.0 / 4, max_ratio = 4.0 / 3;  ///< width / height of the crop
  double flip = 0.5;
  double mix_probability = 1.0, switch_probability = 0.5;
  double mixup_alpha = 0.8, cutmix_alpha = 1.0;  ///< λ ~ Beta(α, α); 0 turns that kind of mixing off
  Resize resize = Resize::kCrop;  ///< kLetterbox uses no area and no ratio, and requires mix_probability = 0

  void fields(Fields& f);
  bool operator==(const PlanOptions&) const = default;
};

/// Throws Error for an option out of range and for options that contradict each other. `where`: their source, "plan" or
/// a file.
void check_plan_options(const PlanOptions& options, const std::string& where);

/// The permutation of the index that one pass visits.
using PassOrder = std::shared_ptr<const std::vector<std::uint32_t>>;

/// Thread-safe. Copies are cheap and share cached pass orders.
class Plan {
 public:
  /// Throws Error for options that check_plan_options() rejects, and for an index that is empty or contains an image
  /// without pixels or a label outside its classes (kNoLabel is allowed).
  Plan(std::shared_ptr<const ImageIndex> index, PlanOptions options);

  const PlanOptions& options() const { return options_; }
  const ImageIndex& index() const { return *index_; }

  /// The canonical text of plan.json: settings, seed and the index's hash. The number of passes is not part of a plan.
  const std::string& json() const { return json_; }
  /// SHA-256 of json(), in hexadecimal.
  const std::string& hash() const { return hash_; }
  /// Parses the output of json(). Throws Error, starting with `where`, for anything else.
  static PlanOptions options_from_json(const std::string& json, const std::string& where);

  /// The division of passes into groups and shards.
  ShardLayout layout() const;
  std::uint32_t groups_per_pass() const { return layout().groups_per_pass; }
  std::uint32_t shards_per_pass() const { return layout().shards_per_pass(); }

  /// The options().group views of a group, group < groups_per_pass(). A pass is a random permutation of the index; its
  /// last group is filled up with images from the beginning of the pass, with new crops. A view's recipe depends only
  /// on its pass and position. Cheap if the pass's order() is held or among the most recently used ones (at least two,
  /// more while they fit into 64 MiB); otherwise a permutation of the index is drawn, without blocking calls for other
  /// passes.
  std::vector<Recipe> group(std::uint32_t pass, std::uint32_t group) const;
  /// The order of a pass. While it is held, group() of that pass draws no permutation: hold it when interleaving with
  /// other passes.
  PassOrder order(std::uint32_t pass) const;
  /// Number of permutations drawn so far by this plan and its copies.
  std::uint64_t orders_drawn() const;

 private:
  class Orders;

  std::shared_ptr<const ImageIndex> index_;
  PlanOptions options_;
  std::string json_, hash_;
  std::shared_ptr<Orders> orders_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_PLAN_H_
