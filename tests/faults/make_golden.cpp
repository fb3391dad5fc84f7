// make_golden DIR: small files of every form, and damaged ones, with the rows of their table on standard output. They
// are kept in tests/golden; make.sh there says when to run this.
#include <algorithm>
#include <cstdio>

#include "common/cache/basis_file.h"
#include "tests/cache/sample.h"
#include "tests/faults/fuzz.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// By calibration on fixed draws: 6 channels of falling deviation, 2 x 3 positions.
FeatureBasis calibrated() {
  constexpr std::uint32_t kChannels = 6, kHeight = 2, kWidth = 3, kGroups = 8, kViews = 4;
  Calibrator calibrator(kChannels, kHeight, kWidth);
  Stream draws(21, Purpose::kSample);
  std::vector<float> values(kViews * kChannels * kHeight * kWidth);
  for (std::uint32_t g = 0; g < kGroups; ++g) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(draws.normal() / (1 + i / (kHeight * kWidth) % kChannels));
    calibrator.add(values, kViews);
  }
  return calibrator.finish(0.01, kViews);
}

using Basis = std::shared_ptr<const FeatureBasis>;

void row(const std::filesystem::path& path, const std::string& what, const Basis& basis) {
  const Outcome outcome = read_as_track(path, basis);
  std::string result = outcome.error;
  if (outcome.sum != 0) {
    result = text("sum ", outcome.sum);
  } else if (result.empty()) {
    char hash[32];
    std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(outcome.hash));
    result = hash;
  } else {
    result = result.substr(path.string().size() + 2);
    result = result.substr(0, std::min(result.find(";"), result.find(" (Restored")));  // zstd's words are its own
  }
  std::printf("| `%s` | %s | %s |\n", path.filename().c_str(), what.c_str(), result.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return guarded_main("make_golden", [&] {
    const std::filesystem::path out = argv[1];
    const TemporaryDirectory directory;
    write_basis(out / "basis.h5", calibrated());
    const auto basis = std::make_shared<const FeatureBasis>(read_basis(out / "basis.h5"));
    row(out / "basis.h5", "the basis of transform.h5", basis);
    PlanOptions options = sample_options();
    options.shard_groups = 2;
    const Plan plan(sample_index(7), options);
    create_cache(directory.path(), plan.index(), plan);
    const auto keep = [&](const std::filesystem::path& from, const std::string& name, const std::string& what) {
      std::filesystem::copy_file(from, out / name, std::filesystem::copy_options::overwrite_existing);
      row(out / name, what, basis);
    };
    keep(directory / "index.h5", "index.h5", "an index of seven images");
    write_recipes(directory.path(), plan, 0, 0, {1, 2});
    keep(directory / "recipes/00000.h5", "recipes.h5", "the views of two groups");

    const std::vector<TrackInfo> samples = sample_tracks(plan);
    std::vector<std::pair<std::string, TrackInfo>> tracks{
        {"fp32", samples[1]},    {"fp16", samples[0]}, {"int8", samples[1]},     {"sqrt8", samples[2]},
        {"uniform", samples[4]}, {"topk", samples[5]}, {"transform", samples[1]}};
    tracks[0].second.codec.form = Form::kFp32;
    tracks[6].second.codec = {.form = Form::kTransform, .max_error = 0.01, .basis = basis->hash()};
    std::string good;
    for (auto& [form, track] : tracks) {
      track.teacher = form;
      create_track(directory.path(), track, form == "transform" ? basis.get() : nullptr);
      const auto codec = make_codec(track.codec, track.shape, form == "transform" ? basis : nullptr);
      std::vector<std::vector<Array>> groups;
      for (std::uint32_t g = 0; g < 2; ++g)
        groups.push_back(codec->encode(sample_values(plan, track, {0, g}), options.group));
      write_shard(directory.path(), track, plan, 0, 0, groups);
      const std::filesystem::path path = directory.path() / track.directory() / "00000.h5";
      keep(path, form + ".h5", "two groups of 4 views, decoded");
      if (form == "int8") good = read_whole(path);
    }

    using namespace table;
    const std::size_t chunks = kHeaderBytes + 2 * kDatasetBytes;
    const auto damage = [&](const std::string& name, const std::string& what, const auto& act, int forged) {
      std::string bytes = good;
      act(bytes);
      if (forged > 0) forge_checksums(bytes, forged > 1);
      write_whole(out / name, bytes);
      row(out / name, what, basis);
    };
    const auto put = [](std::size_t offset, auto value) {
      return [=](std::string& bytes) { std::memcpy(bytes.data() + offset, &value, sizeof value); };
    };
    const auto first = at<std::uint64_t>(good, chunks);
    const auto stored = at<std::uint32_t>(good, chunks + 8);
    damage("bad_magic.h5", "another first letter", put(0, 'W'), 0);
    damage("bad_version.h5", "format 2", put(kVersionAt, std::uint16_t{2}), 1);
    damage("bad_flags.h5", "a required feature of the future", put(kRequiredAt, 1u << 31), 1);
    damage("bad_table.h5", "a flipped bit in the table", put(kHeaderBytes + 60, '\1'), 0);
    damage(
        "bad_chunk.h5", "a flipped bit in a chunk",
        [&](std::string& bytes) { bytes[first + stored / 2] = static_cast<char>(bytes[first + stored / 2] ^ 4); }, 0);
    damage(
        "bad_content.h5", "the same, with the table's checksums made right",
        [&](std::string& bytes) { bytes[first + stored / 2] = static_cast<char>(bytes[first + stored / 2] ^ 4); }, 2);
    damage("bad_overlap.h5", "two chunks in one place", put(chunks + kChunkBytes, first), 2);
    damage("bad_place.h5", "a chunk beyond the end", put(chunks, std::uint64_t{good.size()}), 1);
    damage("bad_shape.h5", "a shape of 2^63 rows", put(kHeaderBytes + 56, 1ull << 63), 1);
    damage("bad_count.h5", "a chunk less than there are", put(kChunksAt, std::uint64_t{3}), 1);
    damage(
        "bad_short.h5", "cut in its last chunk", [](std::string& bytes) { bytes.resize(bytes.size() - 9); }, 0);
    damage(
        "bad_long.h5", "a byte after its end", [](std::string& bytes) { bytes += '\0'; }, 0);
    damage(
        "bad_empty.h5", "no bytes", [](std::string& bytes) { bytes.clear(); }, 0);
    return 0;
  });
}
