#include "common/models/weights/names.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/models/weights/naming_tables.h"

namespace vitrine {
namespace {

/// Parts of a prefix; an earlier one is preferred. A prefix without any of them has the place of kOtherPrefix.
constexpr const char* kOtherPrefix = "";
constexpr auto kPreferred = std::to_array<std::string_view>(
    {"teacher", "target_encoder", "ema", "model_ema", "base_encoder", "vision_model", "vision", "visual", "backbone",
     "encoder", kOtherPrefix, "student", "momentum_encoder"});

/// Where a file has a model.
struct Place {
  const Naming* naming = nullptr;
  std::string prefix;
  std::vector<std::string> others;  // prefixes of other models with the same naming
};

bool any_begins(const StoredTensors& file, const std::string& beginning) {
  const auto found = file.lower_bound(beginning);
  return found != file.end() && found->first.starts_with(beginning);
}

std::vector<std::string> parts_of(const std::string& prefix) {
  std::vector<std::string> parts;
  for (std::size_t from = 0; from < prefix.size();) {
    const std::size_t dot = prefix.find('.', from);
    parts.push_back(prefix.substr(from, dot - from));
    from = dot + 1;
  }
  return parts;
}

std::size_t rank_of(const std::string& prefix) {
  const auto place = [](std::string_view part) {
    return static_cast<std::size_t>(std::ranges::find(kPreferred, part) - kPreferred.begin());
  };
  std::size_t rank = kPreferred.size();
  for (const std::string& part : parts_of(prefix)) rank = std::min(rank, place(part));
  return rank < kPreferred.size() ? rank : place(kOtherPrefix);
}

/// The prefixes of all models with this naming.
std::vector<std::string> prefixes_of(const StoredTensors& file, const Naming& naming) {
  std::vector<std::string> out;
  const std::string_view anchor = naming.anchor;
  for (const auto& [name, stored] : file) {
    if (!name.ends_with(anchor)) continue;
    const std::string prefix = name.substr(0, name.size() - anchor.size());
    if (!prefix.empty() && prefix.back() != '.') continue;
    const bool all = std::ranges::all_of(
        naming.signs, [&](const char* sign) { return sign == nullptr || any_begins(file, prefix + sign); });
    if (all && (*naming.without == '\0' || !any_begins(file, prefix + naming.without))) out.push_back(prefix);
  }
  return out;
}

Place find_model(const StoredTensors& file, const std::string& where) {
  for (const Naming& naming : namings()) {
    std::vector<std::string> prefixes = prefixes_of(file, naming);
    if (prefixes.empty()) continue;
    std::ranges::stable_sort(prefixes, {}, rank_of);
    if (prefixes.size() > 1 && rank_of(prefixes[0]) == rank_of(prefixes[1]))
      fail(where, ": holds several models, under the prefixes \"", prefixes[0], "\" and \"", prefixes[1],
           "\"; save the state dict of one of them");
    return {&naming, prefixes[0], {prefixes.begin() + 1, prefixes.end()}};
  }
  return {};
}

/// The length of "N." at the beginning of `name`; 0 if it does not begin so.
std::size_t number_length(std::string_view name) {
  const std::size_t dot = name.find_first_not_of("0123456789");
  return dot != std::string_view::npos && dot > 0 && name[dot] == '.' ? dot + 1 : 0;
}

struct Found {
  const Rename* rename = nullptr;
  std::string rest;  // behind `theirs`: "", ".weight"
};

Found find_rename(std::span<const Rename> table, const std::string& name) {
  for (const Rename& rename : table) {
    const std::string_view theirs = rename.theirs;
    if (name.starts_with(theirs) && (name.size() == theirs.size() || name[theirs.size()] == '.'))
      return {&rename, name.substr(theirs.size())};
  }
  return {};
}

bool is_square_of_patches(std::int64_t count) {
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(count))));
  return count > 1 && side * side == count;
}

class Translator {
 public:
  Translator(const Place& place, const std::string& where, std::vector<std::string>& notes)
      : naming_(*place.naming), prefix_(place.prefix), others_(place.others), where_(where), notes_(notes) {}

  Tensors translate(const StoredTensors& file) {
    const std::vector<std::string> parts = parts_of(prefix_);
    const std::string wrapper = parts.empty() ? prefix_ : prefix_.substr(0, prefix_.size() - parts.back().size() - 1);
    std::vector<std::pair<std::string, const StoredTensor*>> beside;
    for (const auto& [name, stored] : file) {
      if (is_of_another(name))
        dropped_.push_back(name);
      else if (name.starts_with(prefix_))
        take_own(name.substr(prefix_.size()), name, stored);
      else if (name.starts_with(wrapper) && find_rename(naming_.beside, name.substr(wrapper.size())).rename != nullptr)
        beside.emplace_back(name.substr(wrapper.size()), &stored);
      else
        dropped_.push_back(name);
    }
    for (const auto& [name, stored] : beside) {
      const Found found = find_rename(naming_.beside, name);
      if (!out_.contains(found.rename->ours + found.rest))
        change(*found.rename, found.rename->ours + found.rest, name, *stored);
    }
    join_attention();
    if (naming_.fold_class_position) fold_class_position();
    move_pretraining_norm(file);
    drop_unused_pool();
    note_dropped();
    return std::move(out_);
  }

 private:
  /// The values, or an error if they cannot be used.
  const at::Tensor& usable(const StoredTensor& stored, const std::string& name) const {
    if (!stored.tensor.defined())
      fail(where_, ": tensor \"", name, "\" ", stored.unusable, ", which is not read; convert it to F32, F16 or BF16");
    return stored.tensor;
  }
  [[noreturn]] void misshapen(const std::string& name, const at::Tensor& tensor, const char* expected) const {
    std::string sizes;
    for (const std::int64_t size : tensor.sizes()) sizes += text(sizes.empty() ? "" : ", ", size);
    fail(where_, ": tensor \"", name, "\" has shape [", sizes, "], expected ", expected,
         " in a file with the names of ", naming_.source, "; the file is of another model, or damaged");
  }

  /// Of a model within this one's names, as all are where the prefix is empty.
  bool is_of_another(const std::string& name) const {
    return std::ranges::any_of(
        others_, [&](const std::string& other) { return other.size() > prefix_.size() && name.starts_with(other); });
  }

  void take_own(const std::string& name, const std::string& whole, const StoredTensor& stored) {
    std::string ours, inner = name;
    std::span<const Rename> table = naming_.outside;
    const std::size_t blocks = std::strlen(naming_.blocks);
    if (const std::size_t length = name.starts_with(naming_.blocks) ? number_length(name.substr(blocks)) : 0) {
      ours = "blocks." + name.substr(blocks, length);
      inner = name.substr(blocks + length);
      table = naming_.block;
      // Models saved in chunks of blocks: "blocks.CHUNK.BLOCK.norm1.weight".
      if (const std::size_t second = naming_.strict ? 0 : number_length(inner)) {
        ours = "blocks." + inner.substr(0, second);
        inner = inner.substr(second);
      }
    }
    const Found found = find_rename(table, inner);
    if (found.rename != nullptr) {
      change(*found.rename, ours + found.rename->ours + found.rest, whole, stored);
    } else if (naming_.strict) {
      if (const Found head = find_rename(naming_.beside, name); head.rename != nullptr)
        change(*head.rename, head.rename->ours + head.rest, whole, stored);
      else
        fail(where_, ": tensor \"", whole, "\" is not part of a model with the names of ", naming_.source,
             "; give the weights of a plain model of that kind");
    } else {
      put(ours + inner, usable(stored, whole));
    }
  }

  void put(const std::string& name, const at::Tensor& tensor) {
    if (!out_.emplace(name, tensor).second)
      fail(where_, ": two of its tensors are timm's \"", name, "\"; it is damaged");
  }

  void change(const Rename& rename, const std::string& ours, const std::string& theirs, const StoredTensor& stored);
  void change_value(const Rename& rename, const std::string& ours, const std::string& theirs, const at::Tensor& value);
  void take_head(const std::string& ours, const std::string& theirs, const at::Tensor& value);
  void join_attention();
  void join_bias(const std::string& block, std::array<at::Tensor, 3>& biases);
  void fold_class_position();
  void move_pretraining_norm(const StoredTensors& file);
  void drop_unused_pool();
  void note_dropped() {
    if (!dropped_.empty())
      notes_.push_back(text(where_, ": dropped ", counted(dropped_.size(), "tensor"),
                            " that the model does not use: ", listed_names(dropped_), '.'));
  }

  const Naming& naming_;
  const std::string& prefix_;
  const std::vector<std::string>& others_;
  const std::string& where_;
  std::vector<std::string>& notes_;
  Tensors out_;
  /// Query, key and value of a block's "blocks.3.attn.weight" and "...bias".
  std::map<std::string, std::array<at::Tensor, 3>> parts_;
  std::vector<std::string> dropped_;
  bool has_classifier_ = false;  // of transformers
};

void Translator::change(const Rename& rename, const std::string& ours, const std::string& theirs,
                        const StoredTensor& stored) {
  if (rename.change == Change::kDrop)
    dropped_.push_back(theirs);
  else
    change_value(rename, ours, theirs, usable(stored, theirs));
}

void Translator::change_value(const Rename& rename, const std::string& ours, const std::string& theirs,
                              const at::Tensor& value) {
  switch (rename.change) {
    case Change::kToken:
      if (value.dim() != 1) misshapen(theirs, value, "[dim]");
      return put(ours, value.reshape({1, 1, -1}));
    case Change::kPositions:
      if (value.dim() != 2) misshapen(theirs, value, "[tokens, dim]");
      return put(ours, value.unsqueeze(0));
    case Change::kPatches: {
      if (value.dim() != 2) return put(ours, value);
      const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(value.size(1)) / 3)));
      if (side * side * 3 != value.size(1)) misshapen(theirs, value, "[dim, patch * patch * 3]");
      return put(ours, value.reshape({value.size(0), side, side, 3}).permute({0, 3, 1, 2}));
    }
    case Change::kTransposed:
    case Change::kProjection: {
      if (value.dim() != 2) misshapen(theirs, value, "two dimensions");
      const at::Tensor weight = rename.change == Change::kTransposed ? value.t() : value;
      put("head.weight", weight);
      return put("head.bias", at::zeros({weight.size(0)}, weight.options()));
    }
    case Change::kHead:
    case Change::kOtherHead:
      return take_head(rename.change == Change::kHead ? ours : "", theirs, value);
    case Change::kQuery:
    case Change::kKey:
    case Change::kValue:
      parts_[ours][static_cast<std::size_t>(rename.change) - static_cast<std::size_t>(Change::kQuery)] = value;
      return;
    case Change::kSplitBias: {
      if (value.dim() != 1 || value.size(0) % 3 != 0) misshapen(theirs, value, "[3 * dim]");
      const std::vector<at::Tensor> thirds = value.chunk(3);
      put(ours + ".q_bias", thirds[0]);
      return put(ours + ".v_bias", thirds[2]);
    }
    case Change::kPool: {
      if (value.dim() < 1 || value.size(0) % 3 != 0) misshapen(theirs, value, "a first size of 3 * dim");
      const std::int64_t third = value.size(0) / 3;
      put("attn_pool.q." + ours, value.slice(0, 0, third));
      return put("attn_pool.kv." + ours, value.slice(0, third));
    }
    case Change::kNone:
    case Change::kDrop:
      return put(ours, value);
  }
}

/// Classifiers of transformers that take the class token beside the mean of the patches are twice as wide as the model.
void Translator::take_head(const std::string& ours, const std::string& theirs, const at::Tensor& value) {
  const auto patches = out_.find("patch_embed.proj.weight");
  const bool fits = value.dim() != 2 || patches == out_.end() || value.size(1) == patches->second.size(0);
  if (!ours.empty() && fits) {
    has_classifier_ = true;
    return put(ours, value);
  }
  dropped_.push_back(theirs);
  if (!theirs.ends_with(".weight")) return;
  if (out_.erase(ours.substr(0, ours.rfind('.')) + ".bias") > 0)  // it came before
    dropped_.push_back(theirs.substr(0, theirs.rfind('.')) + ".bias");
  notes_.push_back(text(where_, ": its classifier \"", theirs,
                        "\" takes other features than a timm model's head; the model has no head."));
}

void Translator::join_bias(const std::string& block, std::array<at::Tensor, 3>& biases) {
  const auto& [query, key, value] = biases;
  if (query.defined() && key.defined() && value.defined()) return put(block + "qkv.bias", at::cat({query, key, value}));
  if (!query.defined() || !value.defined())
    fail(where_, ": \"", block, "\" has a bias for only some of query, key and value; the file is incomplete");
  put(block + "q_bias", query);
  put(block + "v_bias", value);
}

void Translator::join_attention() {
  for (auto& [name, parts] : parts_) {
    const std::size_t dot = name.rfind('.');
    const std::string block = name.substr(0, dot + 1), kind = name.substr(dot + 1);
    for (const at::Tensor& part : parts)
      if (part.defined() && (part.dim() != (kind == "weight" ? 2 : 1) ||
                             (parts[0].defined() && part.sizes().slice(1) != parts[0].sizes().slice(1))))
        misshapen(name, part, "query, key and value of equal width");
    const bool pool = block == "attn_pool.";
    if (kind == "bias" && !pool) {
      join_bias(block, parts);
      continue;
    }
    if ((kind != "weight" && !pool) || !std::ranges::all_of(parts, &at::Tensor::defined))
      fail(where_, ": \"", block, "\" lacks one of query, key and value; the file is incomplete");
    if (pool) {
      put("attn_pool.q." + kind, parts[0]);
      put("attn_pool.kv." + kind, at::cat({parts[1], parts[2]}));
      continue;
    }
    put(block + "qkv.weight", at::cat({parts[0], parts[1], parts[2]}));
  }
}

/// As timm's models with registers, which have positions only for the patches.
void Translator::fold_class_position() {
  const auto token = out_.find("cls_token"), positions = out_.find("pos_embed");
  if (token == out_.end() || positions == out_.end()) return;
  if (positions->second.dim() == 3 && is_square_of_patches(positions->second.size(1))) return;  // has none for it
  if (positions->second.dim() != 3 || positions->second.size(1) < 2)
    misshapen("pos_embed", positions->second, "[1, 1 + patches, dim]");
  if (token->second.dim() != 3 || token->second.size(2) != positions->second.size(2))
    misshapen("cls_token", token->second, "[1, 1, dim]");
  token->second = token->second.to(at::kFloat) + positions->second.slice(1, 0, 1).to(at::kFloat);
  positions->second = positions->second.slice(1, 1);
}

/// Models of masked image modelling (mask_token, lm_head) end in a norm over all tokens; timm's classifiers begin with
/// one over the pooled token, for which it is the better start.
void Translator::move_pretraining_norm(const StoredTensors& file) {
  if (naming_.strict || !file.contains(prefix_ + "lm_head.weight") || out_.contains("fc_norm.weight")) return;
  move_norm_after_pooling(out_);
}

/// transformers' SigLIP classifiers take the mean of the patches; the attention pool that their files keep is unused.
void Translator::drop_unused_pool() {
  if (!has_classifier_) return;
  std::erase_if(out_, [this](const auto& item) {
    if (!item.first.starts_with("attn_pool.")) return false;
    dropped_.push_back(item.first);
    return true;
  });
}

/// Copies in their own memory; F64 becomes F32.
Tensors owned(const Tensors& tensors, const std::string& where, std::vector<std::string>& notes) {
  Tensors out;
  std::size_t converted = 0;
  for (const auto& [name, tensor] : tensors) {
    const bool wide = tensor.scalar_type() == at::kDouble;
    converted += wide ? 1 : 0;
    out[name] = at::empty(tensor.sizes(), wide ? at::kFloat : tensor.scalar_type()).copy_(tensor);
  }
  if (converted > 0) notes.push_back(text(where, ": converted ", counted(converted, "tensor"), " from F64 to F32."));
  return out;
}

}  // namespace

std::string listed_names(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < 3; ++i) out += text(i == 0 ? "\"" : ", \"", names[i], '"');
  return names.size() > 3 ? out + " ..." : out;
}

void move_norm_after_pooling(Tensors& tensors) {
  for (const char* kind : {"weight", "bias"})
    if (auto norm = tensors.extract(std::string("norm.") + kind)) {
      norm.key() = std::string("fc_norm.") + kind;
      tensors.insert(std::move(norm));
    }
}

NamedTensors with_timm_names(const StoredTensors& file, const std::string& where, std::vector<std::string>& notes) {
  const at::NoGradGuard no_grad;
  const Place place = find_model(file, where);
  if (place.naming == nullptr) {
    Tensors tensors;
    for (const auto& [name, stored] : file) {
      if (!stored.tensor.defined())
        fail(where, ": tensor \"", name, "\" ", stored.unusable, ", which is not read; convert it to F32, F16 or BF16");
      tensors.emplace(name, stored.tensor);
    }
    return {owned(tensors, where, notes), ""};
  }
  if (!place.prefix.empty())
    notes.push_back(text(where, ": took the tensors whose names begin with \"", place.prefix, "\"."));
  const std::string source = place.naming->source;
  if (source != "timm") notes.push_back(text(where, ": translated from the names of ", source, '.'));
  return {owned(Translator(place, where, notes).translate(file), where, notes), source};
}

}  // namespace vitrine
