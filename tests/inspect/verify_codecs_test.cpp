#include "common/inspect/verify_codecs.h"

#include "common/base/error.h"
#include "common/inspect/recode.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

TrackInfo recoded(const std::string& from) {
  TrackInfo track;
  track.teacher = "tiny", track.weights_sha256 = std::string(64, 'a'), track.kind = "logits", track.shape = {50};
  track.provenance = {{"recoded_from", from}};
  return track;
}

}  // namespace

TEST_CASE("the words that recoding leaves give the codecs again, the first one first") {
  const CodecSettings topk{.form = Form::kTopk, .max_error = 0.01, .kept = 20, .temperatures = {4, 1, 0.5}},
      uniform{.form = Form::kUniform, .max_error = 1.0 / 64}, half{.form = Form::kFp16};
  const TrackInfo track =
      recoded(text(codec_words(topk), "; itself from ", codec_words(uniform), "; itself from ", codec_words(half)));
  CHECK(earlier_codecs(track) == std::vector<CodecSettings>{half, uniform, topk});
  CHECK(earlier_codecs(TrackInfo()).empty());

  TrackInfo features = recoded("transform, max_error 0.03");
  features.kind = "features", features.shape = {8, 2, 2};
  CHECK(earlier_codecs(features)[0] == CodecSettings{.form = Form::kTransform, .max_error = 0.03});
}

TEST_CASE("other words than those are refused") {
  for (const char* words : {"", "fp17", "fp16, level 3", "uniform", "uniform, max_error 0.1x", "fp16, max_error 0.1",
                            "topk, 0 kept, temperatures 1", "topk, 3 kept, temperatures", "fp16; from fp32"}) {
    CAPTURE(words);
    CHECK_THROWS_AS(earlier_codecs(recoded(words)), Error);
  }
}
