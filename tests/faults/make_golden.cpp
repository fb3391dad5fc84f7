// make_golden DIR: small files of every encoding, and damaged ones, with the rows of their table on standard output.
// They are kept in tests/golden; make.sh there says when to run this.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common/cache/container.h"
#include "common/cache/container_writer.h"
#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "common/codec/make_codec.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "common/image/scan.h"
#include "common/image/views.h"
#include "common/image/write.h"
#include "tests/cache/sample.h"
#include "tests/faults/fuzz.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// By calibration on fixed draws: 6 channels of falling deviation, 2 x 3 positions.
FeatureBasis calibrated() {
  constexpr std::uint32_t kChannels = 6, kHeight = 2, kWidth = 3, kGroups = 8, kViews = 4;
  Calibrator calibrator(kChannels, kHeight, kWidth);
  RandomStream draws(21, Purpose::kSample);
  std::vector<float> values(kViews * kChannels * kHeight * kWidth);
  for (std::uint32_t g = 0; g < kGroups; ++g) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(draws.normal() / (1 + i / (kHeight * kWidth) % kChannels));
    calibrator.add(values, kViews);
  }
  return calibrator.finish(0.01, kViews);
}

std::string cut(std::string error, const std::string& path) {
  error = error.substr(path.size() + 2);
  return error.substr(0, std::min(error.find(";"), error.find(" (Restored")));  // zstd's words are its own
}

std::string hexadecimal(std::uint64_t hash) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

std::string sum_or_hash(const Outcome& outcome) {
  return outcome.sum != 0 ? text("sum ", outcome.sum) : hexadecimal(outcome.hash);
}

void row(const std::string& name, const std::string& what, const std::string& result) {
  std::printf("| `%s` | %s | %s |\n", name.c_str(), what.c_str(), result.c_str());
}

// Of a file that a cache has in the place that its kind has there.
void row(const std::filesystem::path& path, const std::string& what, const Surroundings& surroundings) {
  const Outcome outcome = surroundings.read(path);
  row(path.filename(), what, outcome.error.empty() ? sum_or_hash(outcome) : cut(outcome.error, path.string()));
}

// A picture that compresses: waves of whole numbers.
Image picture(int height, int width, int seed) {
  Image image(height, width);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < 3 * width; ++x)
      image.row(y)[x] =
          static_cast<std::uint8_t>((x % 3 * 40 + seed * 23 + x / 3 * (5 + seed) + y * (9 - seed)) & 0xFF);
  return image;
}

// Features that a transform over positions makes smaller: one cosine over the map in each channel, and little noise.
std::vector<float> smooth(std::uint32_t views, std::uint32_t seed) {
  std::vector<float> values;
  RandomStream draws(seed, Purpose::kSample);
  for (std::uint32_t i = 0; i < views * 3; ++i) {
    const double size = 8 * draws.normal() / (1 + i % 3);
    for (int p = 0; p < 16; ++p)
      values.push_back(
          static_cast<float>(1 + size * std::cos(0.3 * (p / 4) + 0.2 * (p % 4) + i % 5) + 0.1 * draws.normal()));
  }
  return values;
}

// A whole cache with its pictures: out/cache and out/images.
void write_whole_cache(const std::filesystem::path& out) {
  for (int i = 0; i < 7; ++i) {
    const std::vector<std::byte> png = encode_png(picture(9 + i, 15 - i, i));
    write_whole(out / "images" / (i % 2 == 0 ? "even" : "odd") / (std::to_string(i) + ".png"),
                {reinterpret_cast<const char*>(png.data()), png.size()});
  }
  const auto index = std::make_shared<const ImageIndex>(scan_image_folder(out / "images", nullptr));
  PlanOptions options = sample_options();
  options.image_size = 12, options.mix_probability = 0.75;
  const Plan plan(index, options);
  const std::filesystem::path cache = out / "cache";
  create_cache(cache, *index, plan);
  const ViewMaker views(out / "images", index, options.image_size);
  const std::size_t bytes = std::size_t{3} * options.image_size * options.image_size;
  std::vector<std::uint64_t> hashes;
  for (std::uint32_t g = 0; g < plan.groups_per_pass(); ++g) {
    const std::vector<std::uint8_t> group = views.group(plan.group(0, g), static_cast<int>(options.image_size));
    hashes.push_back(picture_hash(std::span(group).subspan(g % kViews * bytes, bytes)));
  }
  write_recipes(cache, plan, 0, 0, hashes);
  refresh_manifest(cache / "recipes");

  TrackInfo logits = wide_tracks(plan)[0], features = sample_tracks(plan)[1];
  logits.teacher.name = "golden", logits.codec = {.encoding = Encoding::kTopk, .kept = 3, .temperatures = {1, 4}};
  Calibrator calibrator(3, 4, 4);
  calibrator.add(smooth(64, 1), 64);
  const auto basis = std::make_shared<const FeatureBasis>(calibrator.finish(0.01, kViews));
  if (!basis->spatial()) fail("the golden cache's basis has no transform over positions; choose smoother features");
  features.teacher.name = "golden", features.shape = {3, 4, 4};
  features.codec = {.encoding = Encoding::kTransform, .max_error = 0.01, .basis = basis->hash()};
  for (const TrackInfo& track : {features, logits}) {
    const bool transform = track.codec.encoding == Encoding::kTransform;
    create_track(cache, track, transform ? basis.get() : nullptr);
    const auto codec = make_codec(track.codec, track.shape, transform ? basis : nullptr);
    std::vector<std::vector<Array>> groups;
    for (std::uint32_t g = 0; g < plan.groups_per_pass(); ++g)
      groups.push_back(codec->encode(transform ? smooth(kViews, 2 + g) : sample_values(plan, track, {0, g}), kViews));
    write_shard(cache, track, plan, 0, 0, groups);
    refresh_manifest(cache / track.directory());
    row("cache/" + track.directory(), "a track of the whole cache, decoded",
        sum_or_hash(read_track(Cache(cache), track)));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return guarded_main("make_golden", [&] {
    const std::filesystem::path out = argv[1];
    const TemporaryDirectory directory;
    write_basis(out / "basis.h5", calibrated());
    PlanOptions options = sample_options();
    options.shard_groups = 2;
    const Plan plan(sample_index(7), options);
    create_cache(directory.path(), plan.index(), plan);
    for (const char* name : {"index.h5", "plan.json"})
      std::filesystem::copy_file(directory / name, out / name, std::filesystem::copy_options::overwrite_existing);
    const Surroundings surroundings(out);
    const auto& basis = surroundings.basis();
    row(out / "basis.h5", "the basis of transform.h5", surroundings);
    row(out / "index.h5", "an index of seven images", surroundings);
    row(out / "plan.json", "the plan of index.h5, recipes.h5 and the shards", surroundings);
    const auto keep = [&](const std::filesystem::path& from, const std::string& name, const std::string& what) {
      std::filesystem::copy_file(from, out / name, std::filesystem::copy_options::overwrite_existing);
      row(out / name, what, surroundings);
    };
    write_recipes(directory.path(), plan, 0, 0, {1, 2});
    keep(directory / "recipes/00000.h5", "recipes.h5", "the views of two groups");

    const std::vector<TrackInfo> samples = sample_tracks(plan);
    std::vector<std::pair<std::string, TrackInfo>> tracks{
        {"fp32", samples[1]},    {"fp16", samples[0]}, {"int8", samples[1]},     {"sqrt8", samples[2]},
        {"uniform", samples[4]}, {"topk", samples[5]}, {"transform", samples[1]}};
    tracks[0].second.codec.encoding = Encoding::kFp32;
    tracks[6].second.codec = {.encoding = Encoding::kTransform, .max_error = 0.01, .basis = basis->hash()};
    for (auto& [encoding, track] : tracks) {
      track.teacher.name = encoding;
      create_track(directory.path(), track, encoding == "transform" ? basis.get() : nullptr);
      const auto codec = make_codec(track.codec, track.shape, encoding == "transform" ? basis : nullptr);
      std::vector<std::vector<Array>> groups;
      for (std::uint32_t g = 0; g < 2; ++g)
        groups.push_back(codec->encode(sample_values(plan, track, {0, g}), options.group));
      write_shard(directory.path(), track, plan, 0, 0, groups);
      keep(directory.path() / track.directory() / "00000.h5", encoding + ".h5", "two groups of 4 views, decoded");
    }

    using namespace table;
    const std::string good = read_whole(out / "int8.h5");
    const std::size_t chunks = kHeaderBytes + 2 * kDatasetBytes;
    const auto damage = [&](const std::string& name, const std::string& what, const auto& act, int forged) {
      std::string bytes = good;
      act(bytes);
      if (forged > 0) forge_checksums(bytes, forged > 1);
      write_whole(out / name, bytes);
      row(out / name, what, surroundings);
    };
    const auto put = [](std::size_t offset, auto value) {
      return [=](std::string& bytes) { std::memcpy(bytes.data() + offset, &value, sizeof value); };
    };
    const auto first = at<std::uint64_t>(good, chunks);
    const auto stored = at<std::uint32_t>(good, chunks + 8);
    damage("bad_magic.h5", "another first letter", put(0, 'W'), 0);
    damage("bad_version.h5", "format 3", put(kVersionAt, std::uint16_t{3}), 1);
    damage("bad_version_earlier.h5", "format 1", put(kVersionAt, std::uint16_t{1}), 1);
    damage("bad_flags.h5", "a required feature of the future", put(kRequiredAt, 1u << 31), 1);
    damage("bad_table.h5", "a flipped bit in the table", put(kHeaderBytes + 60, '\1'), 0);
    damage(
        "bad_chunk.h5", "a flipped bit in a chunk",
        [&](std::string& bytes) { bytes[first + stored / 2] = static_cast<char>(bytes[first + stored / 2] ^ 4); }, 0);
    damage(
        "bad_content.h5", "the same, with the table's checksums corrected",
        [&](std::string& bytes) { bytes[first + stored / 2] = static_cast<char>(bytes[first + stored / 2] ^ 4); }, 2);
    damage("bad_overlap.h5", "two chunks in one place", put(chunks + kChunkBytes, first), 2);
    damage("bad_place.h5", "a chunk beyond the end", put(chunks, std::uint64_t{good.size()}), 1);
    damage("bad_shape.h5", "a shape of 2^63 rows", put(kHeaderBytes + 56, 1ull << 63), 1);
    damage("bad_count.h5", "one chunk too few", put(kChunksAt, std::uint64_t{3}), 1);
    damage(
        "bad_short.h5", "cut in its last chunk", [](std::string& bytes) { bytes.resize(bytes.size() - 9); }, 0);
    damage(
        "bad_long.h5", "a byte after its end", [](std::string& bytes) { bytes += '\0'; }, 0);
    damage(
        "bad_empty.h5", "no bytes", [](std::string& bytes) { bytes.clear(); }, 0);

    // Content that no writer makes, in whole frames.
    const auto content = [&](const std::string& name, const std::string& of, const std::string& dataset,
                             const std::string& what, std::size_t offset, auto value) {
      std::vector<std::byte> bytes = first_chunk(out / of, dataset);
      if (offset + sizeof value > bytes.size())
        fail(name, ": is damaged beyond its end; mend its offset in make_golden");
      std::memcpy(bytes.data() + offset, &value, sizeof value);
      write_whole(out / name, with_chunk(read_whole(out / of), Container(out / of).find(dataset), 0, bytes));
      row(out / name, what, surroundings);
    };
    content("bad_index_place.h5", "index.h5", "id_offset", "a name beyond the list of names", 7 * 8,
            std::uint64_t{999});
    content("bad_index_text.h5", "index.h5", "id_bytes", "a name in Latin-1", 2, '\xE9');
    content("bad_basis.h5", "basis.h5", "levels", "a level out of range", 20, std::uint8_t{61});
    content("bad_basis_hash.h5", "basis.h5", "mean", "another number under the old hash", 4, 0.5f);
    const std::vector<std::byte> offsets(64);
    write_container(out / "bad_basis_earlier.h5", {{"offsets", "|i1", {2, 32}, 2, {offsets}}},
                    Container(out / "basis.h5").json(), 3, table::kFlagEncodings);
    row(out / "bad_basis_earlier.h5", "a basis of payloads of version 2", surroundings);
    content("bad_recipes.h5", "recipes.h5", "recipe", "a crop beyond its image", 16, std::int32_t{999});
    content("bad_uniform.h5", "uniform.h5", "low", "a shift out of range", 0, std::uint8_t{25});
    content("bad_topk.h5", "topk.h5", "index", "a class out of range", 3, std::uint8_t{5});
    content("bad_transform.h5", "transform.h5", "payload", "a step that is NaN", 4, 0x7FC00000u);
    const std::vector<std::byte> payload = first_chunk(out / "transform.h5", "payload");
    const std::string_view header(reinterpret_cast<const char*>(payload.data()), 36);
    content("bad_transform_states.h5", "transform.h5", "payload", "another first state of its entropy coder",
            at<std::uint32_t>(header, 0) - at<std::uint32_t>(header, 32), 0x54321u);

    // Texts of plan.json, track.json and shards.json.
    const auto json = [&](const std::string& name, const std::string& what, std::string whole, const std::string& old,
                          const std::string& now) {
      whole.replace(whole.find(old), old.size(), now);
      if (name.starts_with("bad_track")) whole = with_check(whole);
      write_whole(out / name, whole);
      row(out / name, what, surroundings);
    };
    const auto track = [&](std::size_t i) { return tracks[i].second.json(); };
    json("bad_plan_group.json", "groups of an odd number of views", plan.json(), "\"group\": 4", "\"group\": 5");
    json("bad_plan_key.json", "a setting of the future", plan.json(), "\"flip\"", "\"flop\": 1,\n    \"flip\"");
    json("bad_track_kept.json", "as many kept as there are classes", track(5), "\"kept\": 2", "\"kept\": 5");
    json("bad_track_bound.json", "uniform without a bound", track(4), "\"max_error\": 0.015625", "");
    json("bad_track_teacher.json", "the architecture is a string", track(5), "\"architecture\": {",
         "\"architecture\": \"patch 16, dim 192\", \"was\": {");
    std::string flipped = tracks[5].second.file_text();
    const std::size_t level = flipped.find("\"level\": 1") + 9;
    flipped[level] = static_cast<char>(flipped[level] ^ 2);
    write_whole(out / "bad_track_check.json", flipped);
    row(out / "bad_track_check.json", "a flipped bit in a number", surroundings);
    json("bad_track_version.json", "format 3", track(5), "\"version\": 2", "\"version\": 3");
    json("bad_track_version_earlier.json", "format 1", track(5), "\"version\": 2", "\"version\": 1");
    json("bad_plan_version.json", "format 3", plan.json(), "\"version\": 2", "\"version\": 3");
    json("bad_plan_version_earlier.json", "format 1", plan.json(), "\"version\": 2", "\"version\": 1");
    json("bad_track_key.json", "a setting of the future", track(5), "\"kept\"", "\"kept_by\"");
    json("bad_shards.json", "an invalid hash", Manifest({{"00000.h5", 5, 7}}).json(), "0007", "000g");
    write_whole_cache(out);
    return 0;
  });
}
