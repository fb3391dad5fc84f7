#include "common/models/weights/torch_container.h"

#include <array>
#include <cstring>

#include "common/base/error.h"
#include "common/models/weights/file_format.h"

namespace vitrine {
namespace {

using std::string_view_literals::operator""sv;

/// The pickle of the number with which the older form begins.
constexpr std::string_view kSequenceMagic = "\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19."sv;
constexpr std::int64_t kSequenceProtocol = 1001;

constexpr const char* kEndian = ": was written on a big-endian machine; load it and save it again on this one";

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct ElementSize {
  std::string_view type;
  std::size_t bytes;
};
constexpr std::array kElementSizes{
    ElementSize{"torch.DoubleStorage", 8},       ElementSize{"torch.FloatStorage", 4},
    ElementSize{"torch.HalfStorage", 2},         ElementSize{"torch.BFloat16Storage", 2},
    ElementSize{"torch.LongStorage", 8},         ElementSize{"torch.IntStorage", 4},
    ElementSize{"torch.ShortStorage", 2},        ElementSize{"torch.CharStorage", 1},
    ElementSize{"torch.ByteStorage", 1},         ElementSize{"torch.BoolStorage", 1},
    ElementSize{"torch.ComplexFloatStorage", 8}, ElementSize{"torch.ComplexDoubleStorage", 16},
    ElementSize{"torch.QInt8Storage", 1},        ElementSize{"torch.QUInt8Storage", 1},
    ElementSize{"torch.QInt32Storage", 4},       ElementSize{"torch.storage.UntypedStorage", 1}};

}  // namespace

std::size_t torch_element_size(std::string_view type) {
  for (const ElementSize& known : kElementSizes)
    if (known.type == type) return known.bytes;
  return 0;
}

std::optional<TorchStorage> torch_storage(const Pickle& pickle, const PickleNode& node) {
  using Kind = PickleNode::Kind;
  if (node.kind != Kind::kPersistent) return std::nullopt;
  const PickleNode& id = pickle[node.args];
  if (id.kind != Kind::kTuple || id.items.size() < 5 || id.items.size() > 6) return std::nullopt;
  const PickleNode &word = pickle[id.items[0]], &type = pickle[id.items[1]], &key = pickle[id.items[2]],
                   &elements = pickle[id.items[4]];
  if (word.kind != Kind::kText || word.text != "storage" || type.kind != Kind::kGlobal || key.kind != Kind::kText ||
      elements.kind != Kind::kInteger || elements.integer < 0)
    return std::nullopt;
  if (id.items.size() == 6 && pickle[id.items[5]].kind != Kind::kNone) return std::nullopt;
  return TorchStorage{type.text, key.text, elements.integer};
}

bool TorchContainer::is_container(std::span<const std::byte> bytes) {
  return ZipArchive::is_archive(bytes) || text_of(bytes).starts_with(kSequenceMagic);
}

TorchContainer::TorchContainer(std::span<const std::byte> bytes, const std::string& path) : path_(path) {
  if (ZipArchive::is_archive(bytes))
    read_archive(bytes);
  else
    read_sequence(bytes);
}

void TorchContainer::damaged(const std::string& what) const {
  throw Error(ErrorKind::kCorrupt, {.path = path_, .what = what, .remedy = "the file is damaged, fetch it again"});
}

void TorchContainer::read_archive(std::span<const std::byte> bytes) {
  archive_.emplace(bytes, path_);
  const std::string name = archive_->ending_with("/data.pkl");
  if (name.empty()) {
    const ForeignFormat foreign = foreign_format(bytes);
    throw Error(ErrorKind::kInput,
                {.path = path_,
                 .what = foreign.what.empty() ? "is an archive without the data.pkl of torch.save" : foreign.what,
                 .remedy = foreign.remedy.empty() ? "give a .safetensors or .pth file" : foreign.remedy});
  }
  root_ = name.substr(0, name.size() - std::string_view("data.pkl").size());
  if (archive_->has(root_ + "byteorder") && text_of(archive_->read(root_ + "byteorder")) != "little")
    fail(path_, kEndian);
  pickle_.emplace(archive_->read(name), path_ + ": data.pkl");
}

/// Pickles of a magic number, a protocol, the machine's sizes, what was saved and a list of the storages' keys; then
/// for each key the number of elements, eight bytes, and the elements.
void TorchContainer::read_sequence(std::span<const std::byte> bytes) {
  const std::string where = path_ + ": the file's pickle";
  const auto next = [&] {
    Pickle pickle(bytes, where);
    bytes = bytes.subspan(pickle.size());
    return pickle;
  };
  next();
  const Pickle protocol = next();
  if (protocol.root().kind != PickleNode::Kind::kInteger || protocol.root().integer != kSequenceProtocol)
    damaged("has another protocol of torch.save than 1001");
  const Pickle machine = next();
  const PickleNode* little = machine.find(machine.root(), "little_endian");
  if (little == nullptr || little->kind != PickleNode::Kind::kBool) damaged("does not say its byte order");
  if (little->integer == 0) fail(path_, kEndian);
  pickle_ = next();
  const Pickle keys = next();
  read_storages(bytes, keys);
}

void TorchContainer::read_storages(std::span<const std::byte> rest, const Pickle& keys) {
  std::map<std::string_view, std::size_t> sizes;
  for (std::uint32_t i = 0; i < pickle_->count(); ++i)
    if (const auto storage = torch_storage(*pickle_, (*pickle_)[i]))
      sizes[storage->key] = torch_element_size(storage->type);
  if (keys.root().kind != PickleNode::Kind::kList) damaged("has no list of storages");
  for (const std::uint32_t item : keys.root().items) {
    const PickleNode& key = keys[item];
    const auto size = key.kind == PickleNode::Kind::kText ? sizes.find(key.text) : sizes.end();
    if (size == sizes.end() || size->second == 0) damaged("lists a storage that no tensor has");
    std::uint64_t elements = 0;
    if (rest.size() < sizeof elements) damaged("is cut short in its storages");
    std::memcpy(&elements, rest.data(), sizeof elements);
    rest = rest.subspan(sizeof elements);
    if (elements > rest.size() / size->second)
      damaged(text("is cut short: storage \"", key.text, "\" has ", elements, " elements, and ", rest.size(),
                   " bytes are left"));
    if (!storages_.emplace(key.text, rest.first(elements * size->second)).second)
      damaged(text("has two storages \"", key.text, '"'));
    rest = rest.subspan(elements * size->second);
  }
}

std::span<const std::byte> TorchContainer::storage(std::string_view key, std::uint64_t bytes) const {
  std::span<const std::byte> found;
  if (archive_) {
    found = archive_->read(text(root_, "data/", key));
  } else {
    const auto stored = storages_.find(key);
    if (stored == storages_.end()) damaged(text("has no storage \"", key, '"'));
    found = stored->second;
  }
  if (found.size() != bytes)
    damaged(text("storage \"", key, "\" has ", found.size(), " bytes, its tensors need ", bytes));
  return found;
}

}  // namespace vitrine
