#include "common/teacher/module_card.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json_fields.h"
#include "common/models/weights/file_format.h"
#include "common/models/weights/numpy_archive.h"
#include "common/models/weights/torch_container.h"
#include "common/models/weights/zip_archive.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kCardEntry = "/extra/vitrine.json";
constexpr std::uint32_t kCardVersion = 1;

/// Three numbers of an output's shape, or zeros for null.
std::array<std::uint32_t, 3> shape_field(const JsonFields& block, const char* key) {
  if (block.at(key).is_null()) return {};
  const auto sizes = block.integers<std::uint32_t>(key, key);
  if (sizes.size() != 3 || std::ranges::any_of(sizes, [](std::uint32_t size) { return size == 0 || size > 1 << 16; }))
    block.damaged(text("blocks.", key, " = ", block.at(key).dump(), " is not three sizes from 1 to 65,536"));
  return {sizes[0], sizes[1], sizes[2]};
}

bool has(const ModuleCard& card, const std::string& output) {
  return std::ranges::find(card.outputs, output) != card.outputs.end();
}

[[noreturn]] void refuse_card(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kCorrupt, {.path = where, .what = text("its card ", what), .remedy = kExportAgain});
}

void check_card(const ModuleCard& card, const std::string& where) {
  const auto refuse = [&](const std::string& what) { refuse_card(where, what); };
  if (card.micro_batch == 0 || card.micro_batch > 65536) refuse(text("has micro_batch = ", card.micro_batch));
  if (card.shape.image_size == 0 || card.shape.image_size > 4096)
    refuse(text("has image_size = ", card.shape.image_size));
  if (!(card.crop_pct > 0 && card.crop_pct <= 1)) refuse(text("has crop_pct = ", card.crop_pct));
  const auto outside = [](double low, double high) { return [=](double x) { return !(x >= low && x <= high); }; };
  if (card.mean.size() != 3 || std::ranges::any_of(card.mean, outside(0, 1)) || card.stddev.size() != 3 ||
      std::ranges::any_of(card.stddev, outside(1e-6, 1e6)))
    refuse("has a mean or std that is not three numbers of colours in [0, 1]");
  if (card.shape.classes > 1u << 24 || card.shape.embedding > 1u << 20) refuse("has sizes out of range");
  if (!card.class_names.empty() && card.class_names.size() != card.shape.classes)
    refuse(text("names ", card.class_names.size(), " classes, but has ", card.shape.classes));
  if (card.shape.blocks.size() > 1000) refuse(text("has ", card.shape.blocks.size(), " blocks"));
  if ((card.shape.classes > 0) != has(card, "logits")) refuse("disagrees with its outputs about logits");
  if ((card.shape.embedding > 0) != has(card, "embedding")) refuse("disagrees with its outputs about an embedding");
  for (std::size_t b = 0; b < card.shape.blocks.size(); ++b)
    if ((card.shape.blocks[b].channels > 0) != has(card, text("features.", b)) ||
        (card.shape.blocks[b].heads > 0) != has(card, text("attention.", b)))
      refuse(text("disagrees with its outputs about block ", b));
}

[[noreturn]] void not_a_module(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kInput, {.path = where, .what = what, .remedy = kExportAgain});
}

[[noreturn]] void refuse_weights(const std::string& where) {
  throw Error(ErrorKind::kInput, {.path = where,
                                  .what = "holds weights, not an exported module",
                                  .remedy = "set teacher.weights to it, in place of teacher.module"});
}

/// By the names in its archive; `bytes` for what it is otherwise.
ModuleFormat format_of(const ZipArchive& archive, std::span<const std::byte> bytes, const std::string& where) {
  if (!archive.ending_with("/constants.pkl").empty()) return ModuleFormat::kTorchScript;
  if (!archive.ending_with("/archive_format").empty()) return ModuleFormat::kPackage;
  if (!archive.ending_with("/data.pkl").empty() || is_numpy_archive(bytes)) refuse_weights(where);
  not_a_module(where, foreign_format(bytes).what);
}

}  // namespace

ModuleCard ModuleCard::parse(const std::string& json, const std::string& where) {
  const Json parsed = parse_json<Json>(json);
  if (parsed.is_discarded()) refuse_card(where, "is not JSON");
  const JsonFields fields(parsed, where);
  if (const auto version = fields.integer<std::uint32_t>("version"); version != kCardVersion)
    throw Error(ErrorKind::kNewer,
                {.path = where,
                 .what = text("its card has version ", version, "; this program reads ", kCardVersion),
                 .remedy = "use a newer vitrine, or export it again with this one's script"});
  ModuleCard card;
  card.name = fields.words("name");
  card.precision = fields.words("precision");
  card.device = fields.words("device");
  card.micro_batch = fields.integer<std::uint32_t>("micro_batch");
  card.shape.image_size = fields.integer<std::uint32_t>("image_size");
  card.shape.classes = fields.integer<std::uint32_t>("classes");
  card.shape.embedding = fields.integer<std::uint32_t>("embedding");
  for (const Json& entry : fields.array("blocks")) {
    const JsonFields block(entry, where, "blocks.");
    const auto [channels, height, width] = shape_field(block, "features");
    const auto [heads, rows, columns] = shape_field(block, "attention");
    card.shape.blocks.push_back({channels, height, width, heads, rows, columns});
  }
  card.outputs = fields.list_of_words("outputs");
  card.mean = fields.numbers("mean");
  card.stddev = fields.numbers("std");
  card.crop_pct = fields.number("crop_pct");
  card.crop_mode = fields.words_or("crop_mode", "");
  card.interpolation = fields.words("interpolation");
  card.license = fields.words("license");
  if (fields.has("class_names")) card.class_names = fields.list_of_words("class_names");
  if (fields.has("compiled_for")) {
    const JsonFields processor = fields.object("compiled_for");
    card.compiled_for = {.machine = processor.words("machine"),
                         .capability = processor.words("capability"),
                         .instruction_sets = processor.list_of_words("instruction_sets")};
  }
  check_card(card, where);
  return card;
}

ModuleFile ModuleFile::read(const fs::path& path) {
  const std::string where = path.string();
  if (!file_exists(path))
    throw Error(ErrorKind::kInput, {.path = where, .what = "is not a file", .remedy = "check teacher.module"});
  const MappedFile file(path);
  const std::span<const std::byte> bytes = file.bytes();
  if (!ZipArchive::is_archive(bytes)) {
    const ForeignFormat foreign = foreign_format(bytes);
    const bool safetensors = foreign.what.empty() && bytes.size() > 8 && std::to_integer<char>(bytes[8]) == '{';
    if (safetensors || TorchContainer::is_container(bytes)) refuse_weights(where);
    not_a_module(where, foreign.what.empty() ? "is not an exported module" : foreign.what);
  }
  const ZipArchive archive(bytes, where);
  const ModuleFormat format = format_of(archive, bytes, where);
  const std::string entry = archive.ending_with(kCardEntry);
  if (entry.empty())
    not_a_module(where,
                 text("is a ", format == ModuleFormat::kPackage ? "package of PyTorch (.pt2)" : "TorchScript module",
                      " without the card that says what it returns"));
  const std::span<const std::byte> json = archive.read(entry);
  ModuleFile out{format, ModuleCard::parse({reinterpret_cast<const char*>(json.data()), json.size()}, where)};
  if (format == ModuleFormat::kPackage && !out.card.compiled_for)
    refuse_card(where, "does not say which processor it was compiled for");
  return out;
}

}  // namespace vitrine
