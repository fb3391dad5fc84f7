#include "tests/support/message.h"
#include "tools/inspect/verify_codecs.h"

#include "common/base/error.h"
#include "tests/cache/sample.h"
#include "tests/support/testing.h"
#include "tests/tools/inspect/damaged.h"
#include "tools/inspect/recode.h"

using namespace vitrine;
using namespace vitrine::testing;

TEST_CASE("the codecs of a track are those of its track.json, with all digits") {
  const SampleCache sample;
  const Cache first(sample.directory);
  const std::vector<CodecSettings> steps{
      {.encoding = Encoding::kUniform, .max_error = 0.0123456789},
      {.encoding = Encoding::kTopk, .max_error = 1.0 / 3, .kept = 3, .temperatures = {4, 1, 1.0 / 7}},
      {.encoding = Encoding::kFp16}};
  std::filesystem::path from = sample.directory;
  std::string teacher = "other";  // fp32
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Cache cache(from);
    RecodeOptions options{.to = sample.root / std::to_string(i), .codec = steps[i], .workers = 1};
    recode(cache, cache.track("logits", teacher), options);
    from = options.to;
  }
  const TrackInfo track = Cache(from).track("logits");
  CHECK(earlier_codecs(track) == std::vector<CodecSettings>{first.track("logits", "other").codec, steps[0], steps[1]});
  CHECK(earlier_codecs(first.track("logits", "other")).empty());
  CHECK(codec_words(steps[0]) == "uniform, max_error 0.0123456789");
}

TEST_CASE("an unknown codec of a newer version is refused as newer") {
  TrackInfo track;
  track.teacher = sample_teacher("tiny");
  track.kind = "logits";
  track.recoded_from = {{.unknown = R"({"encoding":"wavelets"})"}};
  try {
    earlier_codecs(track);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kNewer);
    CHECK(has(std::string(error.what()), "wavelets"));
  }
}
