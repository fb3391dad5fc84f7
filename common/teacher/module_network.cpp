#include "common/teacher/module_network.h"

#include <torch/script.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json_fields.h"
#include "common/models/autocast.h"
#include "common/models/torch_errors.h"
#include "common/models/weights/file_format.h"
#include "common/models/weights/numpy_archive.h"
#include "common/models/weights/torch_container.h"
#include "common/models/weights/zip_archive.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kCardFile = "vitrine.json";  // extra file of the archive
constexpr std::uint32_t kCardVersion = 1;
constexpr double kTapEps = 1e-6;
constexpr const char* kExport = "export it again with tools/scripts/export_teacher.py";

/// Three numbers of an output's shape, or zeros for null.
std::array<std::uint32_t, 3> shape_field(const JsonFields& block, const char* key) {
  if (block.at(key).is_null()) return {};
  const auto sizes = block.integers<std::uint32_t>(key, key);
  if (sizes.size() != 3 || std::ranges::any_of(sizes, [](std::uint32_t size) { return size == 0 || size > 1 << 16; }))
    block.damaged(text("blocks.", key, " = ", block.at(key).dump(), " is not three sizes from 1 to 65,536"));
  return {sizes[0], sizes[1], sizes[2]};
}

[[noreturn]] void not_a_teacher(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kInput, {.path = where, .what = what, .remedy = kExport});
}

ComputeAdvice loading(const std::string& file) {
  return {.what = text("loading ", file), .memory = "choose a smaller teacher", .shapes = kExport};
}

bool has(const ModuleCard& card, const std::string& output) {
  return std::ranges::find(card.outputs, output) != card.outputs.end();
}

void check_card(const ModuleCard& card, const std::string& where) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::kCorrupt, {.path = where, .what = text("its card ", what), .remedy = kExport});
  };
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

/// Before LibTorch, whose sentence for another file is about its own parts.
void check_is_module(const std::string& where) {
  const MappedFile file(where);
  const std::span<const std::byte> bytes = file.bytes();
  const ForeignFormat foreign = foreign_format(bytes);
  bool weights = TorchContainer::is_container(bytes) ||
                 (foreign.what.empty() && bytes.size() > 8 && std::to_integer<char>(bytes[8]) == '{');
  if (ZipArchive::is_archive(bytes)) {
    const ZipArchive archive(bytes, where);
    if (!archive.ending_with("/constants.pkl").empty()) return;
    weights = !archive.ending_with("/data.pkl").empty() || is_numpy_archive(bytes);
  }
  if (weights)
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = "holds weights, not an exported module",
                                    .remedy = "set teacher.weights to it, in place of teacher.module"});
  not_a_teacher(where, foreign.what.empty() ? "is not a TorchScript module" : foreign.what);
}

}  // namespace

class ModuleProgram {
 public:
  ModuleProgram(const std::string& file, c10::Device device) {
    std::unordered_map<std::string, std::string> extra{{kCardFile, ""}};
    with_torch_errors(loading(file), [&] { module_ = torch::jit::load(file, device, extra); });
    card_ = extra.at(kCardFile);
    if (card_.empty()) not_a_teacher(file, "is a TorchScript module without the card that says what it returns");
    module_.eval();
  }
  const std::string& card() const { return card_; }
  void expect(std::vector<std::string> names) { names_ = std::move(names); }

  /// Outputs in the order of the card.
  std::vector<at::Tensor> run(const at::Tensor& x) {
    // Casts are part of the exported code, which has its head in FP32.
    const Autocast off(x.device(), at::kFloat);
    // The optimisations of the profiling executor after the first calls would change the rounding.
    const torch::jit::GraphOptimizerEnabledGuard no_optimiser(false);
    const c10::IValue returned = module_.forward({x});
    if (!returned.isGenericDict()) fail("the module returns no dictionary of tensors; ", kExport);
    const auto dictionary = returned.toGenericDict();
    std::vector<at::Tensor> out;
    for (const std::string& name : names_) {
      const auto found = dictionary.find(name);
      if (found == dictionary.end() || !found->value().isTensor())
        fail("the module returns no tensor \"", name, "\", which its card names; ", kExport);
      out.push_back(found->value().toTensor());
    }
    return out;
  }

 private:
  torch::jit::Module module_;
  std::string card_;
  std::vector<std::string> names_;
};

ModuleCard ModuleCard::parse(const std::string& json, const std::string& where) {
  const Json parsed = parse_json<Json>(json);
  if (parsed.is_discarded())
    throw Error(ErrorKind::kCorrupt, {.path = where, .what = "its card is not JSON", .remedy = kExport});
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
  check_card(card, where);
  return card;
}

ModuleNetwork::ModuleNetwork(const fs::path& file, c10::Device device) : where_(file.string()) {
  if (!file_exists(file))
    throw Error(ErrorKind::kInput, {.path = where_, .what = "is not a file", .remedy = "check teacher.module"});
  check_is_module(where_);
  program_ = std::make_unique<ModuleProgram>(where_, device);
  card_ = ModuleCard::parse(program_->card(), where_);
  program_->expect(card_.outputs);
  const std::string kind = device.is_cpu() ? "cpu" : "cuda";
  if (card_.device != kind)
    throw Error(ErrorKind::kInput,
                {.path = where_,
                 .what = text("was exported for ", card_.device, ", but teacher.device is ", kind),
                 .remedy = text("set teacher.device = \"", card_.device, "\", or export it with --device ", kind)});
}

ModuleNetwork::~ModuleNetwork() = default;

ArchitectureRecord ModuleNetwork::record() const {
  const nlohmann::json settings{
      {"classes", card_.shape.classes}, {"depth", card_.shape.depth()}, {"image_size", card_.shape.image_size}};
  return {"module", settings.dump()};
}

double ModuleNetwork::forward_bytes(std::uint32_t views) const {
  double largest = 3.0 * card_.shape.image_size * card_.shape.image_size;
  for (const BlockShape& block : card_.shape.blocks)
    largest = std::max(largest, 1.0 * block.channels * block.height * block.width);
  constexpr double kWidths = 12;  // as in a ViT's block: queries, keys, values, the MLP's hidden layer twice
  return 4.0 * views * kWidths * largest;
}

at::Tensor ModuleNetwork::take(const std::vector<at::Tensor>& outputs, const std::string& name,
                               const std::vector<std::int64_t>& shape) const {
  const auto found = std::ranges::find(card_.outputs, name);
  if (found == card_.outputs.end()) fail(where_, ": the module has no output ", name);
  const at::Tensor& value = outputs.at(static_cast<std::size_t>(found - card_.outputs.begin()));
  std::vector<std::int64_t> expected{card_.micro_batch};
  expected.insert(expected.end(), shape.begin(), shape.end());
  if (value.sizes() != at::IntArrayRef(expected))
    throw Error(ErrorKind::kInput, {.path = where_,
                                    .what = text("output ", name, " has shape ", value.sizes(), ", but its card says ",
                                                 at::IntArrayRef(expected)),
                                    .remedy = kExport});
  return value.to(at::kFloat).contiguous();
}

TeacherOutputs ModuleNetwork::forward(const at::Tensor& x, const TeacherTaps& taps) const {
  if (x.size(0) != card_.micro_batch)
    throw std::logic_error("ModuleNetwork::forward: another number of views than the module was exported for");
  const std::vector<at::Tensor> outputs = program_->run(x);
  TeacherOutputs out;
  if (card_.shape.classes > 0) out.logits = take(outputs, "logits", {card_.shape.classes});
  if (card_.shape.embedding > 0) out.embedding = take(outputs, "embedding", {card_.shape.embedding});
  for (const std::int64_t block : taps.features) {
    const BlockShape& shape = card_.shape.blocks.at(static_cast<std::size_t>(block));
    at::Tensor map = take(outputs, text("features.", block), {shape.channels, shape.height, shape.width});
    if (taps.normalise)
      map = at::layer_norm(map.permute({0, 2, 3, 1}).contiguous(), {shape.channels}, {}, {}, kTapEps)
                .permute({0, 3, 1, 2})
                .contiguous();
    out.features.push_back(map);
  }
  for (const std::int64_t block : taps.attentions) {
    const BlockShape& shape = card_.shape.blocks.at(static_cast<std::size_t>(block));
    out.attentions.push_back(
        take(outputs, text("attention.", block), {shape.heads, shape.attention_height, shape.attention_width}));
  }
  return out;
}

}  // namespace vitrine
