#include "common/models/weights/torch_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "common/base/error.h"
#include "common/models/weights/torch_container.h"
#include "common/models/weights/torch_globals.h"

namespace vitrine {
namespace {

using Kind = PickleNode::Kind;

constexpr auto kWrappers = std::to_array<std::string_view>(
    {"state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "target_encoder", "teacher", "state_dict",
     "model_state_dict", "model_state", "model", "module", "net", "student", "encoder", "weights"});
constexpr int kMaxWrappers = 8, kMaxModules = 32;
constexpr std::size_t kMaxModulesInAll = 100'000;

struct TorchType {
  std::string_view storage, dtype;
  at::ScalarType type;
};
constexpr std::array kTypes{TorchType{"torch.FloatStorage", "torch.float32", at::kFloat},
                            TorchType{"torch.HalfStorage", "torch.float16", at::kHalf},
                            TorchType{"torch.BFloat16Storage", "torch.bfloat16", at::kBFloat16},
                            TorchType{"torch.DoubleStorage", "torch.float64", at::kDouble},
                            TorchType{"torch.LongStorage", "torch.int64", at::kLong},
                            TorchType{"torch.IntStorage", "torch.int32", at::kInt},
                            TorchType{"torch.ShortStorage", "torch.int16", at::kShort},
                            TorchType{"torch.CharStorage", "torch.int8", at::kChar},
                            TorchType{"torch.ByteStorage", "torch.uint8", at::kByte},
                            TorchType{"torch.BoolStorage", "torch.bool", at::kBool}};

bool is_wrapper(std::string_view key) {
  return std::ranges::find(kWrappers, key) != kWrappers.end();
}

struct Member {
  std::string_view key;
  const PickleNode* value;
};

class TorchFile {
 public:
  TorchFile(const SharedFile& file, const std::string& path, std::vector<std::string>& notes)
      : file_(file), path_(path), notes_(notes), container_(file->bytes(), path), pickle_(container_.pickle()) {
    for (const std::string& name : pickle_.globals())
      if (torch_global(name) == TorchGlobal::kUnknown)
        fail(path_, ": its pickle names ", name,
             ", which is not known to be harmless; where the file is trusted, load it "
             "in Python and save its state dict with safetensors.torch.save_file");
  }

  StoredTensors tensors() {
    const PickleNode& state = unwrapped();
    StoredTensors out;
    collect(state, "", 0, out);
    if (out.empty()) fail_without_tensors();
    return out;
  }

 private:
  [[noreturn]] void damaged(const std::string& what) const {
    throw Error(ErrorKind::kCorrupt, {.path = path_, .what = what, .remedy = "the file is damaged, fetch it again"});
  }

  /// What a call calls; "" if `node` is no call.
  std::string_view called(const PickleNode& node) const {
    return node.kind == Kind::kCall && pickle_[node.callable].kind == Kind::kGlobal ? pickle_[node.callable].text : "";
  }
  TorchGlobal kind_of(const PickleNode& node) const { return torch_global(called(node)); }
  bool is_dictionary(const PickleNode& node) const {
    return node.kind == Kind::kDict || kind_of(node) == TorchGlobal::kContainer;
  }
  bool is_module(const PickleNode& node) const { return kind_of(node) == TorchGlobal::kModule; }
  bool is_tensor(const PickleNode& node) const {
    switch (kind_of(node)) {
      case TorchGlobal::kTensor:
      case TorchGlobal::kTypedTensor:
      case TorchGlobal::kParameter:
      case TorchGlobal::kSubclass:
      case TorchGlobal::kOtherTensor:
        return true;
      case TorchGlobal::kUnknown:
      case TorchGlobal::kInert:
      case TorchGlobal::kContainer:
      case TorchGlobal::kModule:
        break;
    }
    return false;
  }

  /// Of a dictionary its text keys, of a module its attributes.
  std::vector<Member> members(const PickleNode& node) const {
    const PickleNode& in = is_module(node) ? pickle_[node.state] : node;
    std::vector<Member> out;
    if (!is_dictionary(in)) return out;
    for (std::size_t i = 0; i + 1 < in.items.size(); i += 2)
      if (const PickleNode& key = pickle_[in.items[i]]; key.kind == Kind::kText)
        out.push_back({key.text, &pickle_[in.items[i + 1]]});
    return out;
  }

  const PickleNode& unwrapped();
  void fail_without_tensors() const;
  void collect(const PickleNode& node, const std::string& prefix, int depth, StoredTensors& out);
  bool leads_to_tensors(const PickleNode& node, int depth, std::set<const PickleNode*>& seen) const;
  std::span<const std::byte> storage(const TorchStorage& storage, std::uint64_t bytes);

  StoredTensor tensor(const PickleNode& node);
  StoredTensor subclass(const PickleNode& args);
  StoredTensor strided(const PickleNode& args, bool with_dtype);
  std::vector<std::int64_t> numbers(std::uint32_t node) const;

  const SharedFile& file_;
  const std::string& path_;
  std::vector<std::string>& notes_;
  const TorchContainer container_;
  const Pickle& pickle_;
  std::map<std::string_view, std::span<const std::byte>> storages_;  // those that were checked
  std::uint64_t bytes_ = 0;                                          // of all tensors so far
  std::size_t modules_ = 0;                                          // looked into so far
};

bool is_state(std::string_view key) {
  return key.find('.') != std::string_view::npos;
}

std::string listed(const std::vector<Member>& members, std::string_view left_out = "") {
  std::string out;
  int count = 0;
  for (const Member& member : members)
    if (member.key != left_out && ++count <= 6) out += text(out.empty() ? "\"" : ", \"", member.key, '"');
  return count > 6 ? out + " ..." : out;
}

/// Whether taking wrappers away from `node`, which is in `depth` of them, ends at tensors. `seen`: what need not be
/// looked at again.
bool TorchFile::leads_to_tensors(const PickleNode& node, int depth, std::set<const PickleNode*>& seen) const {
  if (is_module(node)) return true;
  if (depth > kMaxWrappers || !is_dictionary(node) || !seen.insert(&node).second) return false;
  const std::vector<Member> all = members(node);
  if (std::ranges::any_of(all, [&](const Member& member) { return is_tensor(*member.value); })) return true;
  return std::ranges::any_of(all, [&](const Member& member) {
    return is_wrapper(member.key) && leads_to_tensors(*member.value, depth + 1, seen);
  });
}

const PickleNode& TorchFile::unwrapped() {
  const PickleNode* at = &pickle_.root();
  for (int depth = 0; depth < kMaxWrappers && is_dictionary(*at); ++depth) {
    const std::vector<Member> all = members(*at);
    if (std::ranges::any_of(all, [&](const Member& m) { return is_state(m.key) && is_tensor(*m.value); })) break;
    const PickleNode* next = nullptr;
    std::set<const PickleNode*> seen{at};
    for (const std::string_view wrapper : kWrappers) {
      const auto found = std::ranges::find(all, wrapper, &Member::key);
      if (found == all.end() || !leads_to_tensors(*found->value, depth + 1, seen)) continue;
      next = found->value;
      const std::string others = listed(all, wrapper);
      notes_.push_back(text(path_, ": took the tensors under \"", wrapper, '"',
                            others.empty() ? "" : text("; the file also has ", others), '.'));
      break;
    }
    if (next == nullptr) break;
    at = next;
  }
  return *at;
}

void TorchFile::fail_without_tensors() const {
  const PickleNode& root = pickle_.root();
  const std::vector<Member> all = members(root);
  fail(path_, ": holds no state dict (",
       all.empty() ? is_dictionary(root) ? "an empty dictionary" : "no dictionary of tensors"
                   : "its keys are " + listed(all),
       "); give a file that torch.save wrote from a model's state_dict()");
}

void TorchFile::collect(const PickleNode& node, const std::string& prefix, int depth, StoredTensors& out) {
  if (depth > kMaxModules || ++modules_ > kMaxModulesInAll) damaged("its modules contain each other");
  for (const Member& member : members(node)) {
    const std::string name = prefix + std::string(member.key);
    if (is_tensor(*member.value))
      out.insert_or_assign(name, tensor(*member.value));
    else if (is_module(node) && is_module(*member.value))
      collect(*member.value, name + ".", depth + 1, out);
  }
}

std::vector<std::int64_t> TorchFile::numbers(std::uint32_t number) const {
  const PickleNode* node = &pickle_[number];
  if (called(*node) == "torch.Size" && pickle_[node->args].items.size() == 1)
    node = &pickle_[pickle_[node->args].items[0]];
  if ((node->kind != Kind::kTuple && node->kind != Kind::kList) || node->items.size() > 64)
    damaged("a tensor's sizes or strides are not a list of numbers");
  std::vector<std::int64_t> out;
  for (const std::uint32_t item : node->items) {
    if (pickle_[item].kind != Kind::kInteger || pickle_[item].integer < 0)
      damaged("a tensor's sizes or strides are not non-negative integers");
    out.push_back(pickle_[item].integer);
  }
  return out;
}

StoredTensor TorchFile::tensor(const PickleNode& node) {
  // A parameter is a tensor in one or two wrappings.
  const PickleNode* at = &node;
  for (int depth = 0; depth < 3 && is_tensor(*at); ++depth) {
    const TorchGlobal kind = kind_of(*at);
    const PickleNode& args = pickle_[at->args];
    if (args.kind != Kind::kTuple || args.items.empty()) damaged("a tensor has no arguments");
    switch (kind) {
      case TorchGlobal::kTensor:
      case TorchGlobal::kTypedTensor:
        return strided(args, kind == TorchGlobal::kTypedTensor);
      case TorchGlobal::kSubclass:
        return subclass(args);
      case TorchGlobal::kParameter:
        at = &pickle_[args.items[0]];
        break;
      case TorchGlobal::kOtherTensor:
      case TorchGlobal::kUnknown:  // the others make no tensor
      case TorchGlobal::kInert:
      case TorchGlobal::kContainer:
      case TorchGlobal::kModule:
        return {{}, text("is not a plain tensor (", called(*at), ')')};
    }
  }
  damaged("a parameter holds no tensor");
}

/// (function, class, its arguments, ...)
StoredTensor TorchFile::subclass(const PickleNode& args) {
  if (args.items.size() < 3) damaged("a tensor has too few arguments");
  const PickleNode &function = pickle_[args.items[0]], &inner = pickle_[args.items[2]];
  const TorchGlobal kind = function.kind == Kind::kGlobal ? torch_global(function.text) : TorchGlobal::kUnknown;
  if ((kind != TorchGlobal::kTensor && kind != TorchGlobal::kTypedTensor) || inner.kind != Kind::kTuple)
    return {{}, "is not a plain tensor"};
  return strided(inner, kind == TorchGlobal::kTypedTensor);
}

std::span<const std::byte> TorchFile::storage(const TorchStorage& storage, std::uint64_t bytes) {
  const auto known = storages_.find(storage.key);
  if (known != storages_.end() && known->second.size() == bytes) return known->second;
  return storages_[storage.key] = container_.storage(storage.key, bytes);
}

/// (storage, offset, sizes, strides, ...); version 3 has the dtype as the seventh.
StoredTensor TorchFile::strided(const PickleNode& args, bool with_dtype) {
  if (args.items.size() < (with_dtype ? 7u : 4u)) damaged("a tensor has too few arguments");
  const std::optional<TorchStorage> storage = torch_storage(pickle_, pickle_[args.items[0]]);
  if (!storage) damaged("a tensor has no storage of its own");
  const PickleNode& offset = pickle_[args.items[1]];
  if (offset.kind != Kind::kInteger || offset.integer < 0) damaged("a tensor's offset is not a non-negative integer");
  const std::vector<std::int64_t> sizes = numbers(args.items[2]), strides = numbers(args.items[3]);
  if (sizes.size() != strides.size()) damaged("a tensor has more sizes than strides, or fewer");

  std::string_view dtype = with_dtype ? pickle_[args.items[6]].text : storage->type;
  const auto known = std::ranges::find(kTypes, dtype, with_dtype ? &TorchType::dtype : &TorchType::storage);
  if (known == kTypes.end()) return {{}, text("has the type ", dtype)};

  const auto element = static_cast<std::uint64_t>(at::elementSize(known->type));
  const std::uint64_t unit = torch_element_size(storage->type);
  std::uint64_t stored = 0, elements = 1, last = static_cast<std::uint64_t>(offset.integer);
  bool overflow = __builtin_mul_overflow(static_cast<std::uint64_t>(storage->elements), unit, &stored);
  for (std::size_t d = 0; d < sizes.size(); ++d) {
    const auto size = static_cast<std::uint64_t>(sizes[d]), stride = static_cast<std::uint64_t>(strides[d]);
    std::uint64_t reach = 0;
    overflow = overflow || __builtin_mul_overflow(std::max<std::uint64_t>(size, 1) - 1, stride, &reach) ||
               __builtin_add_overflow(last, reach, &last);
    // Extents of 0 count as 1, so that no product of sizes overflows.
    overflow = overflow || __builtin_mul_overflow(elements, std::max<std::uint64_t>(size, 1), &elements) ||
               elements > (std::uint64_t{1} << 48);
  }
  const bool empty = std::ranges::find(sizes, 0) != sizes.end();
  if (overflow || stored % element != 0 || (!empty && last >= stored / element))
    damaged(text("a tensor reaches beyond its storage \"", storage->key, "\" of ", storage->elements, " elements"));
  if (empty) return {at::empty(sizes, known->type), {}};

  bytes_ += elements * element;
  if (bytes_ / 8 > file_->bytes().size())
    fail(path_, ": its tensors repeat values and would need more than eight times its size; save them contiguous");
  const auto bytes = this->storage(*storage, stored);
  return {view_of_file(file_, bytes.subspan(static_cast<std::uint64_t>(offset.integer) * element), sizes, strides,
                       known->type),
          {}};
}

}  // namespace

StoredTensors read_torch_file(const SharedFile& file, const std::string& path, std::vector<std::string>& notes) {
  return TorchFile(file, path, notes).tensors();
}

}  // namespace vitrine
