#include "common/teacher/open_teacher.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/run_weights.h"
#include "common/image/transform.h"
#include "common/kernels/normalise.h"
#include "common/models/precision.h"
#include "common/models/torch_errors.h"
#include "common/models/vit/read_structure.h"
#include "common/models/vit/resample.h"
#include "common/models/vit/unused.h"
#include "common/models/weights/load.h"
#include "common/models/weights/card.h"
#include "common/models/weights/names.h"
#include "common/models/weights/weights.h"
#include "common/models/weights/weights_record.h"
#include "common/teacher/module_network.h"
#include "common/teacher/preprocessing.h"
#include "common/teacher/vit_network.h"
#include "common/teacher/zero_shot.h"

namespace vitrine {
namespace {

/// Fills in keys that are not set, in the order of the sources' precedence, and notes where they disagree.
class Filling {
 public:
  Filling(TeacherOptions& options, std::vector<std::string>& notes) : options_(options), notes_(notes) {}

  /// `source`: "config.json". `told` is what it says; nullopt or empty: nothing.
  template <class Value, class Told>
  void take(const char* key, Value TeacherOptions::*member, const std::optional<Told>& told,
            const std::string& source) {
    if (!told) return;
    Value& value = options_.*member;
    if (value == Value{}) {
      value = static_cast<Value>(*told);
    } else if (value != static_cast<Value>(*told)) {
      notes_.push_back(text("teacher.", key, " = ", words(value), ", although ", source, " says ", words(*told)));
    }
  }

 private:
  static std::string words(const std::vector<double>& colours) { return colour_words(colours); }
  static std::string words(const std::string& word) { return "\"" + word + "\""; }
  template <class Number>
  static std::string words(Number number) {
    return text(number);
  }

  TeacherOptions& options_;
  std::vector<std::string>& notes_;
};

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : "; ") + part;
  return out;
}

/// What is still empty, from the usual preprocessing of the family.
void fill_preprocessing(const VitStructure& structure, const std::string& naming, OpenedTeacher& teacher) {
  TeacherOptions& options = teacher.options;
  const UsualPreprocessing usual = usual_preprocessing(structure, naming);
  std::vector<std::string> filled;
  const auto fill = [&](const char* key, auto& value, const auto& by_default, const std::string& words) {
    if (value != std::decay_t<decltype(value)>{}) return;
    value = by_default;
    filled.push_back(text(key, " = ", words));
  };
  fill("mean", options.mean, usual.values.mean, colour_words(usual.values.mean));
  fill("std", options.stddev, usual.values.stddev, colour_words(usual.values.stddev));
  fill(usual.crop_pct_is_guess && !usual.is_guess ? "assuming crop_pct" : "crop_pct", options.crop_pct,
       usual.values.crop_pct, text(usual.values.crop_pct));
  if (options.crop_mode.empty()) options.crop_mode = usual.values.crop_mode;
  if (options.interpolation.empty()) options.interpolation = usual.values.interpolation;
  if (filled.empty()) return;
  teacher.notes.push_back(text("teacher ", options.name, ": ", usual.is_guess ? "assuming, as for " : "as for ",
                               usual.family, ": ", joined(filled)));
}

bool is_crop_mode(const std::string& mode) {
  return mode == "center" || mode == "squash";
}

bool is_interpolation(const std::string& name) {
  return resample_filter(name).has_value();
}

void check_clean_crop(const TeacherOptions& options) {
  if (!is_crop_mode(options.crop_mode))
    fail("teacher.crop_mode = \"", options.crop_mode, "\" is not supported; expected center or squash");
  if (!is_interpolation(options.interpolation))
    fail("teacher.interpolation = \"", options.interpolation,
         "\" is not supported; expected bicubic, bilinear, lanczos, box or hamming");
}

/// "config.json, README.md".
std::string source_of(const TeacherCard& card) {
  std::string out;
  for (const auto& file : card.files) out += (out.empty() ? "" : ", ") + file.filename().string();
  return out;
}

/// Takes the two words on clean crops, and the usual ones in place of words that clean crops do not have: they concern
/// no view.
class CleanCropWords {
 public:
  CleanCropWords(std::string source, std::vector<std::string>& notes) : source_(std::move(source)), notes_(notes) {}

  std::optional<std::string> mode(const std::optional<std::string>& said) {
    return supported("crop_mode", said, is_crop_mode, "center");
  }
  std::optional<std::string> interpolation(const std::optional<std::string>& said) {
    return supported("interpolation", said, is_interpolation, "bicubic");
  }

 private:
  std::optional<std::string> supported(const char* key, const std::optional<std::string>& said,
                                       bool (*is_supported)(const std::string&), const char* usual) {
    if (!said || is_supported(*said)) return said;
    notes_.push_back(text(source_, " says ", key, " = \"", *said,
                          "\", which is not supported; clean crops are made with \"", usual, '"'));
    return usual;
  }

  std::string source_;
  std::vector<std::string>& notes_;
};

VitHints hints_of(const TeacherOptions& options, const std::string& naming, const TeacherCard& card) {
  VitHints hints;
  hints.arch = options.arch;
  if (!options.arch.empty() && !card.files.empty() && options.arch == card.architecture) {
    hints.arch_source = source_of(card);
    hints.dim = static_cast<int>(card.dim.value_or(0));
    hints.depth = static_cast<int>(card.depth.value_or(0));
  }
  hints.image_size = options.image_size;
  hints.patch = options.patch;
  hints.heads = options.heads;
  hints.activation = options.activation;
  hints.card_activation = card.activation.value_or("");
  hints.eps = card.norm_eps.value_or(0);
  hints.naming = naming;
  hints.norm_after_pooling = card.norm_after_pooling;
  hints.pooling = card.pooling.value_or("");
  return hints;
}

void take_card(const TeacherCard& card, OpenedTeacher& teacher) {
  teacher.notes.insert(teacher.notes.end(), card.notes.begin(), card.notes.end());
  if (card.files.empty()) return;
  const std::string source = source_of(card);
  const auto colours = [](const std::optional<std::array<double, 3>>& triplet) {
    return triplet ? std::optional(std::vector<double>(triplet->begin(), triplet->end())) : std::nullopt;
  };
  Filling filling(teacher.options, teacher.notes);
  filling.take("arch", &TeacherOptions::arch, card.architecture, source);
  filling.take("image_size", &TeacherOptions::image_size, card.image_size, source);
  filling.take("heads", &TeacherOptions::heads, card.heads, source);
  // Where no key is set, what the card says counts for some MLPs only: structure_of() decides.
  if (!teacher.options.activation.empty())
    filling.take("activation", &TeacherOptions::activation, card.activation, source);
  filling.take("mean", &TeacherOptions::mean, colours(card.mean), source);
  filling.take("std", &TeacherOptions::stddev, colours(card.std), source);
  teacher.normalisation_recorded |=
      teacher.options.mean == colours(card.mean) && teacher.options.stddev == colours(card.std);
  filling.take("crop_pct", &TeacherOptions::crop_pct, card.crop_pct, source);
  CleanCropWords words(source, teacher.notes);
  filling.take("crop_mode", &TeacherOptions::crop_mode, words.mode(card.crop_mode), source);
  filling.take("interpolation", &TeacherOptions::interpolation, words.interpolation(card.interpolation), source);
  filling.take("license", &TeacherOptions::license, card.license, source);
}

/// What the card says of the network beside the weights, which count.
void note_contradictions(const TeacherCard& card, const Tensors& weights, const VitStructure& structure,
                         OpenedTeacher& teacher) {
  if (card.files.empty()) return;
  const auto compare = [&](const char* what, const std::optional<std::int64_t>& said, std::int64_t found) {
    if (said && *said != found)
      teacher.notes.push_back(
          text(teacher.options.weights, ": has ", what, " = ", found, ", although ", source_of(card), " says ", *said));
  };
  compare("dim", card.dim, structure.dim);
  compare("depth", card.depth, structure.depth);
  compare("patch", card.patch, weights.at("patch_embed.proj.weight").size(2));
  compare("classes", card.classes, structure.classes);
}

/// What the file of a ViT that vitrine-train made says of it.
void take_own_record(const WeightsRecord& record, OpenedTeacher& teacher) {
  constexpr const char* kSource = "the file's metadata";
  const auto told = [](const auto& value) { return std::optional(value); };
  Filling filling(teacher.options, teacher.notes);
  filling.take("heads", &TeacherOptions::heads, told(record.model.vit.heads), kSource);
  filling.take("activation", &TeacherOptions::activation, told(std::string("gelu")), kSource);  // it makes no other
  filling.take("mean", &TeacherOptions::mean, told(record.mean), kSource);
  filling.take("std", &TeacherOptions::stddev, told(record.stddev), kSource);
  teacher.normalisation_recorded |= teacher.options.mean == record.mean && teacher.options.stddev == record.stddev;
  filling.take("crop_pct", &TeacherOptions::crop_pct, told(record.crop_pct), kSource);
}

/// The names of the head's `classes` classes: the card's, else the file's own. `record` may be null.
void take_class_names(const TeacherCard& card, const WeightsRecord* record, std::size_t classes,
                      OpenedTeacher& teacher) {
  const auto take = [&](const std::vector<std::string>& names, const std::string& source) {
    if (names.empty() || classes == 0) return;
    if (names.size() != classes)
      teacher.notes.push_back(text(source, " names ", names.size(), " classes, but the teacher's head has ", classes,
                                   "; the names are not used"));
    else if (teacher.classes.empty())
      teacher.classes = names;
    else if (teacher.classes != names)
      teacher.notes.push_back(text(source, " names other classes than ", source_of(card), ", whose names are used"));
  };
  take(card.class_names, source_of(card));
  if (record != nullptr) take(record->classes, "the file's metadata");
}

/// Records and says what load_vit() will resample.
void note_resampling(const VitStructure& structure, const WeightFiles& files, OpenedTeacher& teacher) {
  const auto own = size_before_resampling(files.tensors, structure);
  if (!own || own->patch == 0) return;  // weights without patches are not a ViT's; loading them fails
  teacher.resampled_from = {static_cast<std::uint32_t>(own->image_size), static_cast<std::uint32_t>(own->patch)};
  std::vector<std::string> parts;
  const int grid = own->image_size / own->patch;
  if (grid != 0 && grid != structure.grid())
    parts.push_back(text("the positions of ", grid, " x ", grid, " patches are resampled to ", structure.grid(), " x ",
                         structure.grid(), " (image_size = ", structure.image_size, ", trained with ", own->image_size,
                         ")"));
  if (own->patch != structure.patch)
    parts.push_back(text("the patch weights of ", own->patch, " x ", own->patch, " pixels are resampled to ",
                         structure.patch, " x ", structure.patch));
  teacher.notes.push_back(text(teacher.options.weights, ": ", joined(parts)));
}

Vit load_vit(const VitStructure& structure, const WeightFiles& files, const std::string& where, c10::Device device,
             std::vector<std::string>& notes) {
  Vit vit(structure, VitWeights::kUninitialised);
  Tensors tensors = resampled(files.tensors, structure);
  if (structure.fc_norm && !structure.norm && !tensors.contains("fc_norm.weight")) move_norm_after_pooling(tensors);
  drop_unused(vit, where, tensors, notes);
  if (const LoadReport report = load_weights(*vit, tensors, where); !report.note.empty()) notes.push_back(report.note);
  with_torch_errors({"loading the teacher", "end other programs on the GPU, or choose a smaller teacher", ""},
                    [&] { vit->to(device); });
  return vit;
}

OpenedTeacher open_vit(const TeacherOptions& given, c10::Device device) {
  OpenedTeacher out;
  out.options = given;
  const WeightFiles files = read_weights(given.weights);
  out.weights_sha256 = files.sha256;
  out.notes = files.notes;
  const TeacherCard card = read_card(given.weights);
  std::optional<WeightsRecord> record = WeightsRecord::parse(files.metadata, given.weights);
  if (record && record->model.kind != "vit") record.reset();  // no teacher: its tensors say so below
  if (record) out.decoding = record->decoding;
  VitStructure structure;
  if (given.structure != nullptr) {
    structure = *given.structure;
    CleanCropWords words(source_of(card), out.notes);  // tracks do not record them
    if (given.crop_mode.empty()) out.options.crop_mode = words.mode(card.crop_mode).value_or("");
    if (given.interpolation.empty()) out.options.interpolation = words.interpolation(card.interpolation).value_or("");
  } else {
    if (record) take_own_record(*record, out);
    take_card(card, out);
    VitReading reading = structure_of(files.tensors, hints_of(out.options, files.naming, card), given.weights);
    structure = std::move(reading.structure);
    note_contradictions(card, files.tensors, structure, out);
    for (const std::string& sentence : reading.notes) out.notes.push_back(text(given.weights, ": ", sentence));
    if (!reading.assumed.empty())
      out.notes.push_back(text(given.weights, ": assuming ", joined(reading.assumed),
                               ", which the tensors do not show (teacher.arch, teacher.heads, teacher.activation)"));
  }
  if (out.options.name.empty())
    out.options.name = !structure.arch.empty() ? structure.arch : teacher_file_name(given.weights);
  fill_preprocessing(structure, files.naming, out);
  note_resampling(structure, files, out);
  out.network = std::make_unique<VitNetwork>(load_vit(structure, files, given.weights, device, out.notes),
                                             compute_type(given.precision));
  take_class_names(card, record ? &*record : nullptr, out.network->shape().classes, out);
  return out;
}

OpenedTeacher open_module(const TeacherOptions& given, c10::Device device) {
  if (!given.allow_module)
    throw Error(ErrorKind::kInput,
                {.path = given.module,
                 .what = "is a module, and running it runs whatever code it contains",
                 .remedy = "if you trust where it comes from, add --allow module to the command line"});
  if (!given.arch.empty() || given.image_size != 0 || given.patch != 0 || given.heads != 0 || !given.activation.empty())
    fail("teacher.arch, image_size, patch, heads and activation are part of an exported module; leave them out");
  auto module = std::make_unique<ModuleNetwork>(given.module, device);
  const ModuleCard& card = module->card();
  OpenedTeacher out;
  out.options = given;
  out.weights_sha256 = sha256_hex_of_file(given.module);
  out.notes.push_back(text("teacher.module: running the code in ", given.module));
  if (given.precision != card.precision)
    fail("teacher.precision = \"", given.precision, "\", but ", given.module, " was exported with ", card.precision,
         "; set it to that, or export the module again");
  if (given.micro_batch != card.micro_batch)
    fail("teacher.micro_batch = ", given.micro_batch, ", but ", given.module, " was exported for ", card.micro_batch,
         " views per forward; set it to that, or export the module again");
  Filling filling(out.options, out.notes);
  const auto told = [](const auto& value) { return std::optional(value); };
  filling.take("name", &TeacherOptions::name, told(card.name), given.module);
  filling.take("mean", &TeacherOptions::mean, told(card.mean), given.module);
  filling.take("std", &TeacherOptions::stddev, told(card.stddev), given.module);
  out.normalisation_recorded = out.options.mean == card.mean && out.options.stddev == card.stddev;
  filling.take("crop_pct", &TeacherOptions::crop_pct, told(card.crop_pct), given.module);
  if (!card.license.empty()) filling.take("license", &TeacherOptions::license, told(card.license), given.module);
  CleanCropWords words(given.module, out.notes);
  const auto said_or = [](const std::string& said, const char* usual) { return said.empty() ? usual : said; };
  filling.take("crop_mode", &TeacherOptions::crop_mode, words.mode(said_or(card.crop_mode, "center")), given.module);
  filling.take("interpolation", &TeacherOptions::interpolation,
               words.interpolation(said_or(card.interpolation, "bicubic")), given.module);
  out.classes = card.class_names;
  out.network = std::move(module);
  return out;
}

/// Of weights or a module, and a file of class texts.
std::string hash_with_texts(const std::string& hash, const std::string& zero_shot) {
  return sha256_hex(hash + sha256_hex_of_file(zero_shot));
}

}  // namespace

std::string teacher_sha256(const std::string& file, const std::string& zero_shot) {
  const std::string hash = sha256_of_weights(file);
  return zero_shot.empty() ? hash : hash_with_texts(hash, zero_shot);
}

std::string teacher_file_name(const std::string& file) {
  return run_of_weights(file).stem().string();
}

OpenedTeacher open_teacher(const TeacherOptions& options, c10::Device device) {
  if (options.weights.empty() && options.module.empty())
    fail("teacher.weights is not given; expected a weight file or a directory with one (or teacher.module)");
  if (!options.weights.empty() && !options.module.empty())
    fail("teacher.weights and teacher.module are both given; a teacher has one of them");
  OpenedTeacher out = options.weights.empty() ? open_module(options, device) : open_vit(options, device);
  check_clean_crop(out.options);
  if (!options.zero_shot.empty()) {
    ZeroShotHead head = ZeroShotHead::load(options.zero_shot);
    out.classes = head.classes;
    out.network = std::make_unique<ZeroShotNetwork>(std::move(out.network), std::move(head), device, options.zero_shot);
    out.weights_sha256 = hash_with_texts(out.weights_sha256, options.zero_shot);
  }
  return out;
}

}  // namespace vitrine
