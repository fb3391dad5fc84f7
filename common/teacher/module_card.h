// What an exported module says of itself.
#ifndef VITRINE_COMMON_TEACHER_MODULE_CARD_H_
#define VITRINE_COMMON_TEACHER_MODULE_CARD_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/models/processor.h"
#include "common/teacher/network.h"

namespace vitrine {

/// The extra file "vitrine.json" of a module's archive.
///
///  {"version": 1, "name", "precision", "device", "micro_batch", "image_size", "classes", "embedding",
///   "blocks": [{"features": [C, H, W] or null, "attention": [heads, H, W] or null}, ...],
///   "outputs": ["logits", "embedding", "features.0", "attention.0", ...],
///   "mean", "std", "crop_pct", "interpolation", "license"}
///
/// and perhaps "crop_mode" and "class_names", which older ones lack, and
/// "compiled_for": {"machine", "capability", "instruction_sets": [...]}, which only compiled packages have.
struct ModuleCard {
  std::string name;
  std::string precision;          ///< arithmetic that is part of the exported code
  std::string device;             ///< "cpu" or "cuda": the kind it was exported for
  std::uint32_t micro_batch = 0;  ///< views per forward; part of the exported code
  NetworkShape shape;
  std::vector<std::string> outputs;  ///< in the order in which the module returns them
  std::vector<double> mean, stddev;
  double crop_pct = 1;
  std::string crop_mode;  ///< timm's word; empty: not said
  std::string interpolation, license;
  std::vector<std::string> class_names;   ///< one per class, or none
  std::optional<Processor> compiled_for;  ///< nullopt: its code is portable

  /// Throws Error (kCorrupt, kNewer), beginning with `where`.
  static ModuleCard parse(const std::string& json, const std::string& where);
};

/// The remedy for a module that cannot be used.
inline constexpr const char* kExportAgain = "export it again with tools/scripts/export_teacher.py";

enum class ModuleFormat {
  kTorchScript,  ///< of torch.jit.save
  kPackage       ///< .pt2: compiled by AOTInductor for one kind of processor
};

/// A module's file before anything in it runs.
struct ModuleFile {
  ModuleFormat format;
  ModuleCard card;

  /// Reads only the card. Throws Error: kInput for another kind of file and for a module without a card, kCorrupt for a
  /// damaged archive, and as ModuleCard::parse.
  static ModuleFile read(const std::filesystem::path& file);
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_MODULE_CARD_H_
