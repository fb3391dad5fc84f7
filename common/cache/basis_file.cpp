#include "common/cache/basis_file.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/error.h"
#include "common/base/format_version.h"
#include "common/cache/attributes.h"
#include "common/cache/container_writer.h"
#include "common/cache/table.h"

namespace vitrine {
namespace {

constexpr const char* kBasisFormat = "vitrine basis";
constexpr std::uint64_t kKinds = 40, kPlanes = 15;  // of the basis' levels
constexpr const char* kDroppedDataset = "offsets";  // of bases until payloads of version 2
constexpr int kBasisLevel = 3;                      // read and written once

template <class Number>
void put(std::vector<DatasetSpec>& specs, const char* name, const char* dtype, std::vector<std::uint64_t> shape,
         const std::vector<Number>& numbers) {
  if (numbers.empty()) return;  // no transform over positions
  const auto rows = static_cast<std::uint32_t>(shape[0]);
  specs.push_back({name, dtype, std::move(shape), rows, {std::as_bytes(std::span(numbers))}});
}

template <class Number>
std::vector<Number> get(const Container& file, Container::Scratch& scratch, const char* name, const char* dtype,
                        const std::vector<std::uint64_t>& shape) {
  expect_dataset(file, name, dtype, shape, static_cast<std::uint32_t>(shape[0]));
  const std::vector<std::byte> bytes = file.read_all(file.find(name), scratch);
  std::vector<Number> numbers(bytes.size() / sizeof(Number));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

[[noreturn]] void damaged(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorKind::kCorrupt, {.path = path.string(), .what = what, .remedy = "copy it again"});
}

}  // namespace

std::filesystem::path basis_path(const TrackInfo& track) {
  return std::filesystem::path(track.directory()) / "basis.h5";
}

void write_basis(const std::filesystem::path& path, const FeatureBasis& basis) {
  const std::uint64_t c = basis.channels, h = basis.height, w = basis.width;
  std::vector<DatasetSpec> specs;
  put(specs, "mean", "<f4", {c, h, w}, basis.mean);
  put(specs, "vectors", "<f4", {c, c}, basis.vectors);
  put(specs, "eigenvalues", "<f4", {c}, basis.eigenvalues);
  put(specs, "rows", "<f4", {h, h}, basis.rows);
  put(specs, "columns", "<f4", {w, w}, basis.columns);
  put(specs, "scale", "<i2", {c, h, w}, basis.scale);
  put(specs, "expected", "<u2", {FeatureBasis::kLevels}, basis.expected);
  put(specs, "levels", "|u1", {kKinds, kPlanes}, basis.levels);
  const std::vector<std::uint16_t> confidence{basis.confidence};
  put(specs, "confidence", "<u2", {1}, confidence);
  nlohmann::ordered_json json;
  json["format"] = kBasisFormat;
  json["version"] = kFormatMajor;
  json["hash"] = basis.hash();
  json["channels"] = c;
  json["height"] = h;
  json["width"] = w;
  json["views"] = basis.views;
  json["spatial"] = basis.spatial();
  json["written_by"] = written_by();
  write_container(path, std::move(specs), json.dump(), kBasisLevel, table::kFlagEncodings);
}

FeatureBasis read_basis(const std::filesystem::path& path) {
  const Container file(path);
  Container::Scratch scratch;
  const auto json = attributes(file, kBasisFormat);
  check_format_version(json, path.string());
  FeatureBasis basis;
  std::string hash;
  bool spatial = false;
  try {
    hash = json.at("hash").get<std::string>();
    const auto axis = [&json, &path](const char* key) {
      const auto length = integer_of<std::uint32_t>(json.at(key));
      if (!length || *length < 1 || *length > (1u << 24)) damaged(path, text("has an impossible ", key));
      return *length;
    };
    basis.channels = axis("channels"), basis.height = axis("height"), basis.width = axis("width");
    const auto views = integer_of<std::uint64_t>(json.at("views"));
    if (!views) damaged(path, "has an impossible number of views");
    basis.views = *views;
    spatial = json.at("spatial").get<bool>();
  } catch (const nlohmann::json::exception& problem) {
    damaged(path, text("its attributes cannot be read (", problem.what(), ")"));
  }
  if (std::ranges::any_of(file.datasets(), [](const DatasetInfo& dataset) { return dataset.name == kDroppedDataset; }))
    throw Error(ErrorKind::kNewer, {.path = path.string(),
                                    .what = "belongs to the transform encoding of another version of vitrine",
                                    .remedy = "read it with that, or extract the track again"});
  const std::uint64_t c = basis.channels, h = basis.height, w = basis.width;
  basis.mean = get<float>(file, scratch, "mean", "<f4", {c, h, w});
  basis.vectors = get<float>(file, scratch, "vectors", "<f4", {c, c});
  basis.eigenvalues = get<float>(file, scratch, "eigenvalues", "<f4", {c});
  if (spatial) {
    basis.rows = get<float>(file, scratch, "rows", "<f4", {h, h});
    basis.columns = get<float>(file, scratch, "columns", "<f4", {w, w});
  }
  basis.scale = get<std::int16_t>(file, scratch, "scale", "<i2", {c, h, w});
  basis.expected = get<std::uint16_t>(file, scratch, "expected", "<u2", {FeatureBasis::kLevels});
  basis.levels = get<std::uint8_t>(file, scratch, "levels", "|u1", {kKinds, kPlanes});
  basis.confidence = get<std::uint16_t>(file, scratch, "confidence", "<u2", {1})[0];
  basis.check(path.string());
  if (basis.hash() != hash) damaged(path, "is not the basis that its hash names");
  return basis;
}

std::shared_ptr<const FeatureBasis> load_basis(const std::filesystem::path& cache, const TrackInfo& track) {
  if (track.codec.encoding != Encoding::kTransform) return nullptr;
  const std::filesystem::path path = cache / basis_path(track);
  auto basis = std::make_shared<const FeatureBasis>(read_basis(path));
  if (basis->hash() != track.codec.basis)
    throw Error(ErrorKind::kInput, {.path = path.string(),
                                    .what = text("is the basis ", basis->hash().substr(0, 8), ", but track.json names ",
                                                 track.codec.basis.substr(0, 8)),
                                    .remedy = "copy both from the same cache"});
  return basis;
}

}  // namespace vitrine
