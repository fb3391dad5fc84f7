#include "tools/inspect/verify_codecs.h"

#include "common/base/error.h"

namespace vitrine {

std::vector<CodecSettings> earlier_codecs(const TrackInfo& track) {
  std::vector<CodecSettings> codecs;
  for (const EncodingRecord& encoding : track.recoded_from) {
    if (!encoding.unknown.empty())
      throw Error(ErrorKind::kNewer,
                  {.path = track.directory(),
                   .what = text("was made from an encoding that this program does not know: ", encoding.unknown),
                   .remedy = "use a newer vitrine"});
    codecs.push_back(encoding.codec);
  }
  return codecs;
}

}  // namespace vitrine
