// A plan: every recipe of every pass, as a pure function of the index, the seed and the settings. Nothing is stored but
// those; any view is computed by its place alone, on any machine, in any order. Its hash is its name.
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

/// What a view may look like. Defaults are DeiT's (H. Touvron et al., ICML 2021).
struct PlanOptions {
  std::uint64_t seed = 0;    ///< below 2^63, the largest that TOML holds
  std::uint32_t group = 64;  ///< even: a view and its mirror position are each other's partners
  std::uint32_t shard_groups = 64;
  std::uint32_t image_size = 224;                   ///< the teacher's square
  double min_area = 0.08, max_area = 1;             ///< of the crop, as shares of the image's
  double min_ratio = 3.0 / 4, max_ratio = 4.0 / 3;  ///< width / height of the crop
  double flip = 0.5;
  double mix_probability = 1.0, switch_probability = 0.5;
  double mixup_alpha = 0.8, cutmix_alpha = 1.0;  ///< λ ~ Beta(α, α); 0 turns that kind of mixing off

  void fields(Fields& f);
  bool operator==(const PlanOptions&) const = default;
};

/// Throws Error when an option is out of its range or two do not fit together. `where` names their source: "plan", a
/// file.
void check_plan_options(const PlanOptions& options, const std::string& where);

/// The permutation of the index that one pass visits.
using PassOrder = std::shared_ptr<const std::vector<std::uint32_t>>;

/// Shared freely between threads. Copies are cheap and share what is remembered.
class Plan {
 public:
  /// Throws Error for options that check_plan_options refuses, and for an index without images, with an empty image or
  /// with a label beyond its classes (kNoLabel is none).
  Plan(std::shared_ptr<const ImageIndex> index, PlanOptions options);

  const PlanOptions& options() const { return options_; }
  const ImageIndex& index() const { return *index_; }

  /// The canonical text of plan.json: settings, seed, the index's hash. Not the number of passes: a plan has no last
  /// one.
  const std::string& json() const { return json_; }
  /// SHA-256 of json(), in hexadecimal.
  const std::string& hash() const { return hash_; }
  /// Reads what json() gave. Throws Error, beginning with `where`, for anything else.
  static PlanOptions options_from_json(const std::string& json, const std::string& where);

  /// How passes are cut into groups and shards.
  ShardLayout layout() const;
  std::uint32_t groups_per_pass() const { return layout().groups_per_pass; }
  std::uint32_t shards_per_pass() const { return layout().shards_per_pass(); }

  /// The options().group views of a group, group < groups_per_pass(). A pass is a random permutation of the index; its
  /// last group is filled up with images from the pass's beginning, in crops of their own. A view's recipe depends on
  /// its pass and position alone, whatever other groups were asked for. Cheap for a pass whose order() somebody holds,
  /// and for those that were asked for last: at least two, more while their orders fit into 64 MiB. Any other pass
  /// costs a permutation of the index, drawn without a lock on the rest.
  std::vector<Recipe> group(std::uint32_t pass, std::uint32_t group) const;
  /// The order of a pass. While it is held, group() of that pass draws no permutation: for tasks that ask for many
  /// groups beside tasks of other passes.
  PassOrder order(std::uint32_t pass) const;
  /// Permutations drawn so far, by this plan and its copies.
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
