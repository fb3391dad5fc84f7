#include "train/data/stream.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "common/base/error.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/data/batches.h"
#include "train/data/prefetch.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::TrainFixture;

namespace {

constexpr std::uint64_t kSeed = 3;

StreamOptions stream_options(std::uint32_t workers) {
  StreamOptions out;
  out.size = 32;
  out.seed = kSeed;
  out.workers = workers;
  out.ahead = 2 * workers + 2;
  return out;
}

StreamOptions without_augmentation() {
  StreamOptions out = stream_options(2);
  out.augment.brightness = out.augment.contrast = out.augment.saturation = out.augment.hue = 0;
  out.augment.erase_probability = 0;
  return out;
}

std::vector<StreamItem> epochs(const TargetSource& source, std::uint32_t count) {
  std::vector<StreamItem> out;
  for (std::uint32_t epoch = 0; epoch < count; ++epoch)
    for (const GroupKey key : epoch_order(kSeed, epoch, source.plan().groups_per_pass(), source.passes(false)))
      out.push_back({epoch, key});
  return out;
}

std::function<std::optional<StreamItem>(std::uint64_t)> numbered(std::vector<StreamItem> items) {
  return
      [items = std::move(items)](std::uint64_t n) { return n < items.size() ? std::optional(items[n]) : std::nullopt; };
}

std::vector<GroupBatch> all_groups(GroupStream& stream) {
  std::vector<GroupBatch> out;
  while (std::optional<GroupBatch> batch = stream.next()) out.push_back(std::move(*batch));
  return out;
}

void check_same(const GroupBatch& a, const GroupBatch& b) {
  CHECK(a.item.epoch == b.item.epoch);
  CHECK((a.item.key == b.item.key));
  CHECK((a.pictures == b.pictures));
  CHECK(a.order == b.order);
  CHECK(a.label == b.label);
  CHECK(a.partner_label == b.partner_label);
  CHECK(a.own_share == b.own_share);
}

// A source whose teacher saw other pictures.
class OtherPictures : public TargetSource {
 public:
  explicit OtherPictures(const TargetSource& source) : source_(source) {}
  const Plan& plan() const override { return source_.plan(); }
  TargetShapes shapes() const override { return source_.shapes(); }
  std::vector<std::uint32_t> passes(bool features) const override { return source_.passes(features); }
  std::vector<Recipe> recipes(GroupKey key) const override { return source_.recipes(key); }
  std::optional<std::uint64_t> picture_hash(GroupKey) const override { return 1; }
  GroupTargets targets(GroupKey key, std::span<const Recipe> recipes,
                       std::span<const std::uint8_t> pictures) const override {
    return source_.targets(key, recipes, pictures);
  }

 private:
  const TargetSource& source_;
};

struct StreamFixture : TrainFixture {
  std::shared_ptr<const ImageIndex> images_index = index();
  std::unique_ptr<TargetSource> source = TrainFixture::source(options(TargetKind::kNone, "run"));
  ViewMaker views{images, images_index, 32};
};

}  // namespace

TEST_CASE("groups come in the epoch's order, whatever the number of workers") {
  const StreamFixture fixture;
  const std::vector<StreamItem> items = epochs(*fixture.source, 4);
  REQUIRE(items.size() == 8);
  GroupStream one(*fixture.source, fixture.views, stream_options(1), numbered(items), 0);
  GroupStream four(*fixture.source, fixture.views, stream_options(4), numbered(items), 0);
  const std::vector<GroupBatch> a = all_groups(one), b = all_groups(four);
  REQUIRE(a.size() == items.size());
  REQUIRE(b.size() == items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    CAPTURE(i);
    CHECK(a[i].item.epoch == items[i].epoch);
    CHECK((a[i].item.key == items[i].key));
    check_same(a[i], b[i]);
  }
  CHECK((a[0].pictures != a[1].pictures));
}

TEST_CASE("a stream started later gives the tail of the whole stream") {
  const StreamFixture fixture;
  const std::vector<StreamItem> items = epochs(*fixture.source, 3);
  GroupStream whole(*fixture.source, fixture.views, stream_options(2), numbered(items), 0);
  GroupStream late(*fixture.source, fixture.views, stream_options(2), numbered(items), 3);
  const std::vector<GroupBatch> a = all_groups(whole), b = all_groups(late);
  REQUIRE(b.size() + 3 == a.size());
  for (std::size_t i = 0; i < b.size(); ++i) check_same(a[i + 3], b[i]);
}

TEST_CASE("a group has the plan's views and labels, each taken once, in an order specific to the epoch") {
  const StreamFixture fixture;
  const GroupKey key{0, 1};
  const std::vector<Recipe> recipes = fixture.source->recipes(key);
  const std::vector<std::uint8_t> plain = fixture.views.group(recipes, 32);
  const auto order = [&](std::uint32_t epoch) {
    const GroupBatch batch = make_group(*fixture.source, fixture.views, without_augmentation(), {epoch, key});
    CHECK((batch.pictures == plain));
    for (std::size_t i = 0; i < recipes.size(); ++i) {
      const Recipe& recipe = recipes[i];
      CHECK(batch.label[i] == recipe.label);
      CHECK(batch.partner_label[i] == (recipe.mix == Mix::kNone ? recipe.label : recipes[recipe.partner].label));
      CHECK(batch.own_share[i] == static_cast<float>(own_share(recipe)));
    }
    return batch.order;
  };
  const std::vector<std::int64_t> first = order(0), second = order(2);
  std::vector<std::int64_t> once(recipes.size());
  std::iota(once.begin(), once.end(), 0);
  CHECK(std::is_permutation(first.begin(), first.end(), once.begin(), once.end()));
  CHECK(std::is_permutation(second.begin(), second.end(), once.begin(), once.end()));
  CHECK(first != second);
}

TEST_CASE("augmentation differs in each epoch and does not change labels") {
  const StreamFixture fixture;
  const GroupKey key{1, 0};
  const GroupBatch jittered = make_group(*fixture.source, fixture.views, stream_options(1), {0, key});
  const GroupBatch plain = make_group(*fixture.source, fixture.views, without_augmentation(), {0, key});
  CHECK((jittered.pictures != plain.pictures));
  CHECK(jittered.label == plain.label);
  CHECK(jittered.own_share == plain.own_share);
}

TEST_CASE("pictures that differ from the teacher's are detected at its resolution, and only there") {
  const StreamFixture fixture;
  const OtherPictures other(*fixture.source);
  StreamOptions options = stream_options(2);
  const StreamItem item{0, GroupKey{1, 0}};
  const std::string told = make_group(other, fixture.views, options, item).other_picture;
  CHECK(told.find("pass 1, group 0: the student's picture (hash ") == 0);
  CHECK(has(told, " is not the one that the teacher saw (1); "));
  GroupStream stream(other, fixture.views, options, numbered({item}), 0);
  const std::vector<GroupBatch> groups = all_groups(stream);
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].other_picture == told);
  CHECK(make_group(*fixture.source, fixture.views, options, item).other_picture.empty());
  options.size = 24;
  CHECK(make_group(other, fixture.views, options, item).other_picture.empty());
}

TEST_CASE("a group with a different picture is reported with its first batch, and counted once per run") {
  const StreamFixture fixture;
  const OtherPictures other(*fixture.source);
  const BatchOptions options = fixture.options(TargetKind::kNone, "run").batch_options(32);
  REQUIRE(other.plan().options().group == 2 * options.batch);
  Batches batches(options, other, fixture.views, at::kCPU);
  batches.start(0);
  CHECK(has(batches.next().other_picture, "is not the one that the teacher saw"));
  CHECK(batches.other_pictures() == 1);
  CHECK(batches.next().other_picture.empty());  // of the same group, already reported
  CHECK(batches.other_pictures() == 1);
  // A run resumed in the middle of a group reports it again, but does not count it again.
  Batches resumed(options, other, fixture.views, at::kCPU);
  resumed.start(1);
  CHECK(has(resumed.next().other_picture, "is not the one that the teacher saw"));
  CHECK(resumed.other_pictures() == 0);
  Batches same(options, *fixture.source, fixture.views, at::kCPU);
  same.start(0);
  CHECK(same.next().other_picture.empty());
}

TEST_CASE("with a new pass each epoch, a longer run begins with the views of a shorter one, and repeats none") {
  const StreamFixture fixture;
  const auto batches_of = [&](std::uint32_t epochs, std::uint64_t from, std::uint64_t count) {
    TrainOptions options = fixture.joint(TargetKind::kNone, "run", epochs);
    options.targets.passes = 0;
    options.augment.brightness = options.augment.contrast = options.augment.saturation = options.augment.hue = 0;
    options.augment.erase_probability = 0;
    const auto source = fixture.TrainFixture::source(options);
    Batches batches(options.batch_options(32), *source, fixture.views, at::kCPU);
    REQUIRE(batches.steps_per_epoch() == 4);
    batches.start(from);
    std::vector<at::Tensor> out;
    for (std::uint64_t i = 0; i < count; ++i) out.push_back(batches.next().pictures);
    return out;
  };
  const std::vector<at::Tensor> shorter = batches_of(5, 0, 20), longer = batches_of(10, 0, 40);
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    CAPTURE(i);
    CHECK(at::equal(shorter[i], longer[i]));
  }
  CHECK(at::equal(batches_of(10, 17, 1)[0], shorter[17]));  // extended in the middle of an epoch
  std::set<std::vector<std::uint8_t>> views;
  for (const at::Tensor& batch : longer)
    for (const at::Tensor& view : batch.unbind()) {
      const at::Tensor whole = view.contiguous();
      views.emplace(whole.const_data_ptr<std::uint8_t>(), whole.const_data_ptr<std::uint8_t>() + whole.numel());
    }
  CHECK(views.size() > 144);  // of 160; with one pass repeated there are 144
}

TEST_CASE("a worker's exception reaches the reader and names the image") {
  const StreamFixture fixture;
  for (const auto& entry : std::filesystem::directory_iterator(fixture.images / "bee"))
    std::filesystem::remove(entry.path());
  GroupStream stream(*fixture.source, fixture.views, stream_options(2), numbered(epochs(*fixture.source, 1)), 0);
  std::string message;
  try {
    all_groups(stream);
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(has(message, "bee"));
}

TEST_CASE("a stream can be destroyed while groups are waiting and being made") {
  const StreamFixture fixture;
  const auto forever = [](std::uint64_t n) {
    return std::optional(StreamItem{static_cast<std::uint32_t>(n), GroupKey{0, 0}});
  };
  for (const bool read_one : {false, true}) {
    GroupStream stream(*fixture.source, fixture.views, stream_options(2), forever, 0);
    if (read_one) CHECK(stream.next().has_value());
  }
}

TEST_CASE("the number of prefetched groups depends on available memory") {
  class Targets : public OtherPictures {
   public:
    using OtherPictures::OtherPictures;
    TargetShapes shapes() const override {
      TargetShapes shapes;
      shapes.logits = {10}, shapes.features = {{4, 2, 2}, {5, 3, 3}}, shapes.attention = {2, 3, 3};
      return shapes;
    }
    bool needs_pictures() const override { return true; }
  };
  const StreamFixture fixture;
  const Targets source(*fixture.source);
  const std::uint64_t group = source.plan().options().group, side = source.plan().options().image_size,
                      bytes = group_batch_bytes(source, 48);
  CHECK(bytes == group * (3 * 48 * 48 + 3 * side * side + 4 * (10 + 16 + 45 + 18)));
  CHECK(group_batch_bytes(*fixture.source, 48) == group * 3 * 48 * 48);
  StreamOptions options = stream_options(10);
  options.size = 48;
  REQUIRE(options.ahead == 22);
  CHECK(groups_ahead(options, source, std::nullopt) == 22);
  CHECK(groups_ahead(options, source, 1000 * bytes) == 22);
  CHECK(groups_ahead(options, source, 20 * bytes) == 5);
  CHECK(groups_ahead(options, source, bytes) == 2);
}
