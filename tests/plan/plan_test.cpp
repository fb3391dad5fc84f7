#include "common/plan/plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/config/config.h"
#include "common/plan/draw.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

namespace vitrine {
namespace {

using testing::has;
using testing::message_of;

std::shared_ptr<ImageIndex> small_index(std::uint32_t images) {
  auto index = std::make_shared<ImageIndex>();
  index->classes = {"cat", "dog", "newt"};
  for (std::uint32_t i = 0; i < images; ++i)
    index->images.push_back({text("a/", i, ".jpg"), 40 + i % 7 * 30, 50 + i % 5 * 40, i % 3, 1000 + i, i * 77ull});
  return index;
}

PlanOptions small_options() {
  PlanOptions options;
  options.seed = 5;
  options.group = 8;
  options.shard_groups = 3;
  options.image_size = 64;
  return options;
}

bool says(const std::function<void()>& action, const std::vector<std::string>& words) {
  const std::string message = message_of(action);
  CAPTURE(message);
  return !message.empty() && std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    return message.find(word) != std::string::npos;
  });
}

TEST_CASE("a view depends only on its position, not on earlier calls or the thread") {
  const auto index = small_index(50);
  const Plan forwards(index, small_options());
  const Plan backwards(index, small_options());
  std::vector<std::vector<Recipe>> expected;
  for (std::uint32_t pass = 0; pass < 4; ++pass)
    for (std::uint32_t g = 0; g < forwards.groups_per_pass(); ++g) expected.push_back(forwards.group(pass, g));
  for (std::uint32_t at = static_cast<std::uint32_t>(expected.size()); at-- > 0;)
    CHECK(backwards.group(at / forwards.groups_per_pass(), at % forwards.groups_per_pass()) == expected[at]);

  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::uint32_t at = t; at < 20 * expected.size(); ++at) {
        const std::uint32_t place = at * (t + 1) % static_cast<std::uint32_t>(expected.size());
        if (backwards.group(place / 7, place % 7) != expected[place]) ++wrong[t];
      }
    });
  for (std::thread& thread : threads) thread.join();
  REQUIRE(forwards.groups_per_pass() == 7);
  CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("passes requested in turn draw one permutation each, and a held one stays valid") {
  const Plan plan(small_index(50), small_options());
  for (std::uint32_t round = 0; round < 5; ++round)
    for (std::uint32_t pass = 0; pass < 8; ++pass) plan.group(pass, round);
  CHECK(plan.orders_drawn() == 8);

  const PassOrder held = plan.order(3);
  CHECK(plan.orders_drawn() == 8);
  for (std::uint32_t pass = 100; pass < 300; ++pass) plan.group(pass, 0);
  CHECK(plan.orders_drawn() == 208);
  CHECK((plan.group(3, 0)[0].image == (*held)[0]));
  CHECK(plan.orders_drawn() == 208);
  plan.group(0, 0);  // neither held nor recent
  CHECK(plan.orders_drawn() == 209);

  // Threads that need the same order share it.
  const Plan shared(small_index(50), small_options());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::uint32_t pass = 0; pass < 20; ++pass) shared.order(pass);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(shared.orders_drawn() == 20);
}

TEST_CASE("a pass is a permutation of the index, and its last group wraps to its beginning") {
  const auto index = small_index(50);
  const Plan plan(index, small_options());
  CHECK(plan.groups_per_pass() == 7);  // ceil(50 / 8)
  CHECK(plan.shards_per_pass() == 3);  // ceil(7 / 3)
  std::set<std::vector<std::uint32_t>> orders;
  for (std::uint32_t pass = 0; pass < 5; ++pass) {
    std::vector<Recipe> views;
    for (std::uint32_t g = 0; g < plan.groups_per_pass(); ++g) {
      const auto group = plan.group(pass, g);
      REQUIRE(group.size() == 8);
      views.insert(views.end(), group.begin(), group.end());
    }
    std::vector<std::uint32_t> order;
    for (const Recipe& view : views) order.push_back(view.image);
    CHECK(std::set(order.begin(), order.begin() + 50).size() == 50);
    for (std::size_t i = 50; i < 56; ++i) CHECK(order[i] == order[i - 50]);
    // The wrapped views are new crops, not the first ones again.
    CHECK_FALSE(std::equal(
        views.begin() + 50, views.end(), views.begin(), views.begin() + 6,
        [](const Recipe& a, const Recipe& b) { return a.top == b.top && a.left == b.left && a.width == b.width; }));
    orders.insert(order);
  }
  CHECK(orders.size() == 5);
  CHECK_THROWS_AS(plan.group(0, 7), std::out_of_range);
}

TEST_CASE("an index smaller than a group fills it") {
  const Plan plan(small_index(3), small_options());
  CHECK(plan.groups_per_pass() == 1);
  const auto views = plan.group(2, 0);
  for (std::size_t i = 3; i < 8; ++i) CHECK(views[i].image == views[i - 3].image);
}

TEST_CASE("every recipe lies inside its image, and its mixing inside the group and the teacher's square") {
  const auto index = small_index(200);
  for (const std::uint32_t size : {1u, 16u, 224u}) {
    PlanOptions options = small_options();
    options.image_size = size;
    const Plan plan(index, options);
    int kinds[3] = {0, 0, 0};
    for (std::uint32_t g = 0; g < plan.groups_per_pass() * 4; ++g) {
      const auto views = plan.group(g / plan.groups_per_pass(), g % plan.groups_per_pass());
      for (std::uint32_t i = 0; i < views.size(); ++i) {
        const Recipe& view = views[i];
        const ImageEntry& image = index->images[view.image];
        REQUIRE(view.label == image.label);
        REQUIRE((view.top >= 0 && view.left >= 0 && view.height >= 1 && view.width >= 1));
        REQUIRE(view.top + view.height <= static_cast<int>(image.height));
        REQUIRE(view.left + view.width <= static_cast<int>(image.width));
        REQUIRE(view.flip <= 1);
        ++kinds[static_cast<int>(view.mix)];
        REQUIRE(view.partner == (view.mix == Mix::kNone ? 0 : 7 - i));
        const std::uint32_t box = (view.box_bottom - view.box_top) * (view.box_right - view.box_left);
        if (view.mix == Mix::kCutMix) {
          REQUIRE((view.box_top < view.box_bottom && view.box_bottom <= size));
          REQUIRE((view.box_left < view.box_right && view.box_right <= size));
          // λ is the area outside the clipped box, to half a part in 65536.
          REQUIRE(std::abs(own_share(view) - (1.0 - static_cast<double>(box) / (size * size))) <= 0.5 / 65536);
        } else {
          REQUIRE((box == 0 && view.box_bottom == 0 && view.box_right == 0));
          if (view.mix == Mix::kNone) REQUIRE(own_share(view) == 1.0);
        }
      }
    }
    CHECK(kinds[1] > 100);
    if (size > 1)
      CHECK(kinds[2] > 100);
    else
      CHECK(kinds[2] == 0);  // a box of one pixel has half sides of 0: always empty
  }
}

TEST_CASE("probabilities of 0 and 1 and an alpha of 0 switch mixing off or on") {
  const auto index = small_index(64);
  const auto share_of = [&](const std::function<void(PlanOptions&)>& set,
                            const std::function<bool(const Recipe&)>& holds) {
    PlanOptions options = small_options();
    set(options);
    const Plan plan(index, options);
    int count = 0;
    for (std::uint32_t g = 0; g < 8; ++g)
      for (const Recipe& view : plan.group(0, g)) count += holds(view);
    return count / 64.0;
  };
  const auto mixed = [](const Recipe& view) { return view.mix != Mix::kNone; };
  const auto cut = [](const Recipe& view) { return view.mix == Mix::kCutMix; };
  const auto flipped = [](const Recipe& view) { return view.flip == 1; };
  CHECK(share_of([](PlanOptions& o) { o.flip = 0; }, flipped) == 0);
  CHECK(share_of([](PlanOptions& o) { o.flip = 1; }, flipped) == 1);
  CHECK(share_of([](PlanOptions& o) { o.mix_probability = 0; }, mixed) == 0);
  CHECK(share_of([](PlanOptions& o) { o.mix_probability = 0, o.mixup_alpha = 0, o.cutmix_alpha = 0; }, mixed) == 0);
  CHECK(share_of([](PlanOptions& o) { o.switch_probability = 0; }, cut) == 0);
  CHECK(share_of([](PlanOptions& o) { o.cutmix_alpha = 0; }, cut) == 0);
  CHECK(share_of([](PlanOptions& o) { o.mixup_alpha = 0; }, cut) > 0.9);
}

TEST_CASE("crops do not depend on mixing settings") {
  const auto index = small_index(64);
  PlanOptions other = small_options();
  other.mix_probability = 0.3;
  const auto a = Plan(index, small_options()).group(0, 2), b = Plan(index, other).group(0, 2);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK((a[i].image == b[i].image && a[i].top == b[i].top && a[i].left == b[i].left && a[i].flip == b[i].flip));
    CHECK((a[i].height == b[i].height && a[i].width == b[i].width));
  }
}

TEST_CASE("when no aspect ratio fits, the crop is the largest central one") {
  PlanOptions options;
  Recipe recipe;
  // 1000 x 4: a crop of at least 8 % of the area and a ratio of at least 3/4 is over 15 wide.
  draw_crop(options, RandomStream(1, Purpose::kCrop), 1000, 4, recipe);
  CHECK(recipe.width == 4);
  CHECK(recipe.height == 5);  // round(4 / (3 / 4))
  CHECK(recipe.left == 0);
  CHECK(recipe.top == (1000 - 5) / 2);
  draw_crop(options, RandomStream(1, Purpose::kCrop), 4, 1000, recipe);
  CHECK(recipe.height == 4);
  CHECK(recipe.width == 5);
  CHECK(recipe.left == (1000 - 5) / 2);
}

TEST_CASE("a letterboxed picture keeps its ratio, is centred and as long as the view") {
  PlanOptions options = small_options();
  options.resize = Resize::kLetterbox, options.mix_probability = 0;
  const auto box_of = [&](std::uint32_t height, std::uint32_t width) {
    Recipe recipe;
    draw_letterbox(options, RandomStream(1, Purpose::kCrop, 0, 0), height, width, recipe);
    CHECK(is_letterboxed(recipe));
    CHECK(recipe.top == 0);
    CHECK(recipe.left == 0);
    CHECK(recipe.height == static_cast<std::int32_t>(height));
    CHECK(recipe.width == static_cast<std::int32_t>(width));
    return std::array{recipe.box_top, recipe.box_left, recipe.box_bottom, recipe.box_right};
  };
  using Box = std::array<std::uint16_t, 4>;
  CHECK(box_of(480, 640) == Box{8, 0, 56, 64});
  CHECK(box_of(640, 480) == Box{0, 8, 64, 56});
  CHECK(box_of(30, 30) == Box{0, 0, 64, 64});     // smaller pictures grow
  CHECK(box_of(333, 500) == Box{10, 0, 53, 64});  // 42.6: 43 rows, one more of padding below
  CHECK(box_of(1, 1'000'000) == Box{31, 0, 32, 64});
  CHECK(box_of(2'147'483'647, 2'147'483'646) == Box{0, 0, 64, 64});

  const auto index = small_index(300);
  const Plan plan(index, options);
  int flipped = 0;
  for (std::uint32_t g = 0; g < plan.groups_per_pass(); ++g)
    for (const Recipe& recipe : plan.group(1, g)) {
      CHECK(is_letterboxed(recipe));
      CHECK((recipe.mix == Mix::kNone));
      CHECK(recipe.height == static_cast<std::int32_t>(index->images[recipe.image].height));
      flipped += recipe.flip;
    }
  CHECK(flipped > 110);
  CHECK(flipped < 194);
  for (const Recipe& recipe : Plan(index, small_options()).group(0, 0))
    CHECK_FALSE((recipe.mix == Mix::kNone && is_letterboxed(recipe)));
  CHECK(Plan::options_from_json(plan.json(), "plan.json") == options);
  CHECK(has(plan.json(), ",\n    \"resize\": \"letterbox\"\n  }"));
}

TEST_CASE("a plan's text round-trips its options, and its hash covers settings and index") {
  const auto index = small_index(20);
  PlanOptions options = small_options();
  options.seed = 9007199254740993ull;  // 2^53 + 1: no double holds it
  options.min_area = 0.1;
  const Plan plan(index, options);
  CHECK(Plan::options_from_json(plan.json(), "plan.json") == options);
  CHECK(plan.hash() == sha256_hex(plan.json()));
  CHECK(Plan(index, Plan::options_from_json(plan.json(), "plan.json")).json() == plan.json());

  options.flip = 0.25;
  CHECK(Plan(index, options).hash() != plan.hash());
  auto renamed = std::make_shared<ImageIndex>(*index);
  renamed->images[3].hash ^= 1;
  CHECK(Plan(renamed, plan.options()).hash() != plan.hash());
}

TEST_CASE("plan.json is stable, and its hash is computed as the header documents") {
  auto index = std::make_shared<ImageIndex>();
  index->classes = {"one"};
  index->images = {{"one/x.png", 30, 40, 0, 123, 456}};
  const Plan plan(index, PlanOptions{});
  // The index's hash is taken from Python: hashlib.sha256 over b"vitrine index 1\n", then struct.pack("<Q", n) for
  // numbers and lengths, texts after their length, in the order of the structs.
  CHECK(
      plan.json() ==
      "{\n  \"format\": \"vitrine plan\",\n  \"version\": 2,\n  \"images\": 1,\n  \"classes\": 1,\n"
      "  \"index\": \"762ec485acb61cb43150db464d64c0231b670e47a4fc62b94f5fed42f82f8091\",\n"
      "  \"settings\": {\n    \"seed\": 0,\n    \"group\": 64,\n    \"shard_groups\": 64,\n    \"image_size\": 224,\n"
      "    \"min_area\": 0.08,\n    \"max_area\": 1.0,\n    \"min_ratio\": 0.75,\n    \"max_ratio\": "
      "1.3333333333333333,\n"
      "    \"flip\": 0.5,\n    \"mix_probability\": 1.0,\n    \"switch_probability\": 0.5,\n    \"mixup_alpha\": 0.8,\n"
      "    \"cutmix_alpha\": 1.0\n  }\n}\n");
}

TEST_CASE("the index's hash covers every field and the order") {
  const ImageIndex index = *small_index(4);
  std::set<std::string> hashes{index.hash()};
  const std::vector<std::function<void(ImageIndex&)>> changes{
      [](ImageIndex& i) { i.classes[0] = "cow"; },
      [](ImageIndex& i) { std::swap(i.classes[0], i.classes[1]); },
      [](ImageIndex& i) { std::swap(i.images[0], i.images[1]); },
      [](ImageIndex& i) { i.images[1].id += "x"; },
      [](ImageIndex& i) { ++i.images[1].height; },
      [](ImageIndex& i) { ++i.images[1].width; },
      [](ImageIndex& i) { i.images[1].label = 0; },
      [](ImageIndex& i) { ++i.images[1].file_bytes; },
      [](ImageIndex& i) { ++i.images[1].hash; },
      [](ImageIndex& i) { i.images.pop_back(); },
      [](ImageIndex& i) {
        i.classes = {"catdog", "", "newt"};
      },
  };
  for (const auto& change : changes) {
    ImageIndex other = index;
    change(other);
    hashes.insert(other.hash());
  }
  CHECK(hashes.size() == changes.size() + 1);
  CHECK(small_index(4)->hash() == index.hash());
}

TEST_CASE("invalid plan settings are refused by name") {
  const auto refused = [](const std::function<void(PlanOptions&)>& set, const std::vector<std::string>& words) {
    PlanOptions options = small_options();
    set(options);
    return says([&] { Plan(small_index(4), options); }, words);
  };
  CHECK(refused([](PlanOptions& o) { o.group = 7; }, {"group = 7", "even"}));
  CHECK(refused([](PlanOptions& o) { o.group = 0; }, {"group = 0", "from 2"}));
  CHECK(refused([](PlanOptions& o) { o.shard_groups = 0; }, {"shard_groups = 0"}));
  CHECK(refused([](PlanOptions& o) { o.image_size = 0; }, {"image_size = 0"}));
  CHECK(refused([](PlanOptions& o) { o.image_size = 65536; }, {"image_size = 65536"}));
  CHECK(refused([](PlanOptions& o) { o.seed = 1ull << 63; }, {"seed"}));
  CHECK(refused([](PlanOptions& o) { o.flip = 1.5; }, {"flip = 1.5", "0 to 1"}));
  CHECK(refused([](PlanOptions& o) { o.flip = std::numeric_limits<double>::quiet_NaN(); }, {"flip"}));
  CHECK(refused([](PlanOptions& o) { o.min_area = 0.9, o.max_area = 0.5; }, {"min_area = 0.9", "max_area = 0.5"}));
  CHECK(refused([](PlanOptions& o) { o.min_ratio = 2; }, {"min_ratio = 2", "max_ratio"}));
  CHECK(refused([](PlanOptions& o) { o.mixup_alpha = 0.001; }, {"mixup_alpha = 0.001", "0.05"}));
  CHECK(refused([](PlanOptions& o) { o.resize = Resize::kLetterbox; }, {"letterbox", "set mix_probability = 0"}));
  CHECK(refused([](PlanOptions& o) { o.mixup_alpha = o.cutmix_alpha = 0; }, {"mix_probability = 1"}));
  CHECK(says([] { Plan(small_index(0), small_options()); }, {"no images"}));
  CHECK(says(
      [] {
        auto index = small_index(4);
        index->images[2].height = 0;
        Plan(index, small_options());
      },
      {"a/2.jpg", "0 x"}));
  CHECK(says(
      [] {
        auto index = small_index(4);
        index->images[1].label = 3;
        Plan(index, small_options());
      },
      {"a/1.jpg", "label 3"}));
}

TEST_CASE("an invalid plan.json is refused with its path") {
  const std::string good = Plan(small_index(4), small_options()).json();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = good;
    const std::size_t at = changed.find(from);
    REQUIRE(at != std::string::npos);
    return changed.replace(at, from.size(), to);
  };
  const auto refused = [](const std::string& json, const std::string& words) {
    return says([&] { Plan::options_from_json(json, "c/plan.json"); }, {"c/plan.json", words});
  };
  CHECK(refused("", "not valid JSON"));
  CHECK(refused(good.substr(0, good.size() / 2), "not valid JSON"));
  CHECK(refused("[]", "not a plan"));
  CHECK(refused("{}", "not a plan"));
  CHECK(refused(with("vitrine plan", "other"), "not a plan"));
  CHECK(refused(with("\"version\": 2", "\"version\": 3"), "has format version 3, this program reads 2.x"));
  CHECK(refused(with("\"version\": 2", "\"version\": 1"), "has format version 1.x, which no release wrote"));
  CHECK(refused(with("\"version\": 2,", ""), "has no format version"));
  CHECK(refused(with("\"settings\": {", "\"settings\": 3, \"s\": {"), "no settings"));
  CHECK(refused(with("\"group\": 8", "\"group\": 8.5"), "group"));
  CHECK(refused(with("\"group\": 8", "\"group\": 9"), "even"));
  CHECK(refused(with("\"seed\": 5", "\"seed\": 18446744073709551615"), "seed"));
  CHECK(refused(with("\"group\": 8", "\"group\": 4294967304"), "group = 4294967304 is not allowed"));  // 2^32 + 8
  CHECK(refused(with("\"group\": 8", "\"group\": true"), "group = true is not allowed"));
  CHECK(refused(with("\"flip\": 0.5", "\"flip\": \"0.5\""), "flip"));
  CHECK(refused(with("\"flip\"", "\"flop\""), "flip"));
  CHECK(refused(with("\"settings\": {", "\"settings\": {\"colour\": 1,"), "colour"));
  CHECK(refused(with("\"settings\": {", "\"settings\": {\"resize\": \"stretch\","), "resize = \"stretch\""));
  CHECK(refused(with("\"settings\": {", "\"settings\": {\"resize\": \"crop\","), "resize = \"crop\""));
  CHECK(refused(with("\"settings\": {", "\"settings\": {\"resize\": 1,"), "resize = 1"));
  CHECK(refused(with("\"settings\": {", "\"settings\": {\"resize\": \"letterbox\","), "mix_probability"));
}

TEST_CASE("options read from a configuration are checked against their ranges") {
  PlanOptions options;
  load_config("", {"group=128", "flip=0"}, options);
  CHECK(options.group == 128);
  CHECK(options.flip == 0);
  CHECK_THROWS_AS(load_config("", {"mix_probability=2"}, options), Error);
}

}  // namespace
}  // namespace vitrine
