// The card: every figure is one that the cache records.
#include "tools/pack/card.h"

#include "common/cache/teacher_classes.h"
#include "common/cache/teacher_score.h"
#include "tests/support/message.h"
#include "tests/tools/pack/packed.h"
#include "tools/inspect/recode.h"
#include "tools/inspect/track_words.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::string card_of(const std::filesystem::path& directory) {
  const Cache cache(directory);
  std::vector<TrackState> states;
  for (const TrackInfo& track : cache.tracks()) states.push_back(examine_track(cache, track));
  return cache_card(cache, states);
}

// The front matter of a cache whose teachers have these licences.
std::string front_matter_of(const std::vector<std::string>& licenses) {
  const TemporaryDirectory root;
  const Plan plan(sample_index(11), sample_options());
  create_cache(root.path(), plan.index(), plan);
  for (std::size_t i = 0; i < licenses.size(); ++i) {
    TrackInfo track = sample_tracks(plan)[0];
    track.teacher.name += std::to_string(i);
    track.teacher.license = licenses[i];
    create_track(root.path(), track);
  }
  const std::string card = card_of(root.path());
  CHECK(card.starts_with("---\n"));
  return card.substr(4, card.find("\n---\n") - 3);
}

}  // namespace

TEST_CASE("the card begins with the licence and tags that Hugging Face reads") {
  CHECK(has(front_matter_of({"apache-2.0"}), "license: apache-2.0\n"));
  CHECK(has(front_matter_of({""}), "license: unknown\n"));
  CHECK(has(front_matter_of({"My \"own\": terms"}), "license: other\nlicense_name: \"My \\\"own\\\": terms\"\n"));
  CHECK(has(front_matter_of({"mit", ""}), "license: other\nlicense_name: \"unknown; mit\"\n"));
  CHECK(has(front_matter_of({"mit"}), "tags:\n- vitrine\n- knowledge-distillation\n"));
}

TEST_CASE("the card states the index, the views, the teachers and the tracks with both errors") {
  const PackedCache cache;
  const Cache opened(cache.directory);
  std::string card = card_of(cache.directory);
  for (const std::string& part :
       {opened.index().describe(), opened.index().hash(), opened.plan().hash(), std::string("cutmix_alpha 1.0"),
        std::string("| weights (SHA-256) | ") + std::string(64, 'a'),
        std::string("| licence of the weights | not recorded |"), std::string("| top-1 | not recorded |"),
        std::string("b\xC3\xA4r"), std::string("fp32 on Sample CPU 7 (AVX2)"), std::string("vitrine 0.1.0")}) {
    CAPTURE(part);
    CHECK(has(card, part));
  }
  const TrackInfo& uniform = opened.track("logits", "uniform");
  CHECK(has(card, "| uniform.aaaaaaaa/logits | 5 | uniform | 0-1 | 24 | "));
  std::string bound = bound_words(uniform.codec);  // escaped in a table
  CHECK(has(bound, "|error|"));
  CHECK(has(card, "| \\|error\\| of a value \xE2\x89\xA4 0.0156 | none recorded |"));

  write_teacher_score(cache.directory, "tiny.aaaaaaaa", {512, 0.8125, 0.95, 0.9, 0.05});
  card = card_of(cache.directory);
  CHECK(has(card, "| top-1 | 81.2 % (top-5 95 %) on clean crops of 512 images when the cache was prepared |"));
  CHECK(run(executable("vitrine-cache") + " card '" + cache.directory.string() + "'").output == card);
  // It is part of the pack.
  cache.pack_as(cache.tar);
  CHECK(run("tar -xOf '" + cache.tar.string() + "' README.md").output == card);
  CHECK(has(run("tar -tf '" + cache.tar.string() + "'").output, "tiny.aaaaaaaa/check.json\n"));
  const std::vector<std::string> names{"e", "d", "c", "b", "a"};
  write_teacher_classes(cache.directory, "tiny.aaaaaaaa", names);
  cache.pack_as(cache.root / "named.tar");
  CHECK(has(run("tar -tf '" + (cache.root / "named.tar").string() + "'").output, "tiny.aaaaaaaa/classes.json\n"));
  // A recoded track keeps what its teacher was worth.
  RecodeOptions options{.to = cache.root / "recoded", .workers = 1};
  options.codec.encoding = Encoding::kFp32;
  recode(opened, opened.track("logits", "tiny"), options);
  CHECK(read_teacher_classes(options.to, "tiny.aaaaaaaa") == names);
  CHECK(
      has(run(executable("vitrine-cache") + " card '" + options.to.string() + "'").output, "| top-1 | 81.2 % (top-5"));
}

TEST_CASE("a recorded error of a shard is in the card") {
  const PackedCache cache;
  const TrackInfo track = sample_tracks(cache.plan)[4];
  TrackInfo other = track;
  other.teacher.name = "measured";
  create_track(cache.directory, other);
  std::vector<std::vector<Array>> groups(
      2, make_codec(other.codec, other.shape)->encode(sample_values(cache.plan, other, {0, 0}), 4));
  write_shard(cache.directory, other, cache.plan, 0, 0, groups, {{}, R"({"kl_1": 0.5, "agreement": 0.75})"});
  const std::string card = card_of(cache.directory);
  CHECK(has(card, "KL at \xCF\x84 = 1 0.5, same top-1 75 %"));
}
