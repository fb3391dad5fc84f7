#include "common/models/weights/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/models/weights/file_format.h"

namespace vitrine {
namespace {

using nlohmann::json;

struct Dtype {
  const char* name;
  at::ScalarType type;
};
constexpr std::array kDtypes{Dtype{"F32", at::kFloat}, Dtype{"F16", at::kHalf}, Dtype{"BF16", at::kBFloat16},
                             Dtype{"I64", at::kLong},  Dtype{"I32", at::kInt},  Dtype{"U8", at::kByte}};
/// Only read by map_safetensors().
constexpr std::array kMoreDtypes{Dtype{"F64", at::kDouble}, Dtype{"I16", at::kShort}, Dtype{"I8", at::kChar},
                                 Dtype{"BOOL", at::kBool}};
constexpr const char* kMetadata = "__metadata__";
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference implementation's limit

struct Entry {
  std::string name;
  std::string dtype;
  std::optional<at::ScalarType> type;  // nullopt: a dtype that is not read
  std::vector<int64_t> shape;
  std::uint64_t begin, end;  // relative to the data section
};

struct Header {
  std::vector<Entry> entries;  // in file order
  std::map<std::string, std::string> metadata;
  std::span<const std::byte> data;
};

std::optional<at::ScalarType> type_of(const std::string& dtype) {
  for (const Dtype& known : kDtypes)
    if (known.name == dtype) return known.type;
  for (const Dtype& known : kMoreDtypes)
    if (known.name == dtype) return known.type;
  return std::nullopt;
}

bool is_common(const std::string& dtype) {
  return std::ranges::any_of(kDtypes, [&](const Dtype& known) { return known.name == dtype; });
}

std::uint64_t unsigned_field(const json& value, const std::string& what) {
  if (!value.is_number_unsigned())
    fail(what, " holds ", value.dump(), "; expected a non-negative integer: the file is damaged, fetch it again");
  return value.get<std::uint64_t>();
}

Entry parse_entry(const std::string& name, const json& value, std::uint64_t data_bytes, const std::string& file) {
  const std::string what = text(file, ": tensor \"", name, "\"");
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value["dtype"].is_string() ||
      !value.contains("shape") || !value["shape"].is_array() || !value.contains("data_offsets") ||
      !value["data_offsets"].is_array() || value["data_offsets"].size() != 2)
    fail(what, " is not described by dtype, shape and two data_offsets: the file is damaged, fetch it again");
  const auto dtype_name = value["dtype"].get<std::string>();
  Entry entry{name, dtype_name, type_of(dtype_name), {}, 0, 0};
  std::uint64_t bytes = entry.type ? at::elementSize(*entry.type) : 1;
  std::uint64_t span = bytes;  // with extents of 0 counted as 1: bounds the strides
  bool overflow = false;
  for (const json& size : value["shape"]) {
    const std::uint64_t extent = unsigned_field(size, text(file, ": the shape of tensor \"", name, "\""));
    bytes *= extent;  // cannot overflow unless `span` does
    overflow = overflow || __builtin_mul_overflow(span, std::max<std::uint64_t>(extent, 1), &span) ||
               span > static_cast<std::uint64_t>(std::numeric_limits<int64_t>::max());
    entry.shape.push_back(static_cast<int64_t>(extent));
  }
  entry.begin = unsigned_field(value["data_offsets"][0], what);
  entry.end = unsigned_field(value["data_offsets"][1], what);
  if (entry.begin > entry.end || entry.end > data_bytes)
    fail(what, " lies at bytes ", entry.begin, " to ", entry.end, " of ", data_bytes,
         ": the file is truncated or damaged, fetch it again");
  if (overflow || (entry.type && entry.end - entry.begin != bytes))
    fail(what, " has ", entry.end - entry.begin, " bytes, which its shape ", value["shape"].dump(), " and dtype ",
         dtype_name, " contradict: the file is damaged, fetch it again");
  return entry;
}

[[noreturn]] void cut_short(const std::string& file, const std::string& what) {
  throw Error(ErrorKind::kCorrupt,
              {.path = file, .what = what, .remedy = "its download stopped early: fetch it again"});
}

/// The end of the last tensor; 0 if no entry has offsets.
std::uint64_t data_bytes_of(const json& root) {
  std::uint64_t end = 0;
  for (const auto& [name, value] : root.items()) {
    if (!value.is_object() || !value.contains("data_offsets")) continue;
    const json& offsets = value["data_offsets"];
    if (offsets.is_array() && offsets.size() == 2 && offsets[1].is_number_unsigned())
      end = std::max(end, offsets[1].get<std::uint64_t>());
  }
  return end;
}

Header parse_header(std::span<const std::byte> bytes, const std::string& file) {
  const ForeignFormat foreign = foreign_format(bytes);
  if (!foreign.what.empty())
    throw Error(ErrorKind::kInput, {.path = file, .what = foreign.what, .remedy = foreign.remedy});
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length)
    cut_short(file, text("has ", bytes.size(), " bytes, and a safetensors file begins with eight bytes of length"));
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > kMaxHeader)
    fail(file,
         ": is not a safetensors file, nor another kind that is known; give a .safetensors file, or convert this "
         "one (safetensors.torch.save_file)");
  if (length > bytes.size() - sizeof length)
    cut_short(file, text("is cut short: its header has ", length, " bytes, the file has ", bytes.size()));
  const char* begin = reinterpret_cast<const char*>(bytes.data()) + sizeof length;
  const json root = parse_json(std::string(begin, length));
  if (root.is_discarded())
    fail(file, ": its header is not JSON of at most ", kMaxJsonDepth,
         " levels; the file is damaged or not safetensors");
  if (!root.is_object()) fail(file, ": its header is not a JSON object; the file is damaged or not safetensors");

  Header header;
  header.data = bytes.subspan(sizeof length + length);
  if (const std::uint64_t needed = data_bytes_of(root); needed > header.data.size())
    cut_short(file, text("is cut short: its tensors need ", needed, " bytes, and it has ", header.data.size()));
  for (const auto& [name, value] : root.items()) {
    if (name != kMetadata) {
      header.entries.push_back(parse_entry(name, value, header.data.size(), file));
      continue;
    }
    if (!value.is_object()) fail(file, ": its __metadata__ is not a JSON object; the file is damaged");
    for (const auto& [key, word] : value.items()) {
      if (!word.is_string()) fail(file, ": its __metadata__ \"", key, "\" is not a string; the file is damaged");
      header.metadata.emplace(key, word.get<std::string>());
    }
  }
  std::sort(header.entries.begin(), header.entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t reached = 0;
  for (const Entry& entry : header.entries) {
    if (entry.begin != reached)
      fail(file, ": tensor \"", entry.name, "\" begins at byte ", entry.begin, ", the one before ends at ", reached,
           ": tensors must not overlap or leave gaps; the file is damaged, fetch it again");
    reached = entry.end;
  }
  if (reached != header.data.size())
    fail(file, ": holds ", header.data.size(), " bytes of data, its tensors need ", reached,
         "; it is damaged, fetch it again");
  return header;
}

}  // namespace

Tensors load_safetensors(const std::filesystem::path& path) {
  const MappedFile file(path);
  const Header header = parse_header(file.bytes(), path.string());
  Tensors tensors;
  for (const Entry& entry : header.entries) {
    if (!is_common(entry.dtype))
      fail(path.string(), ": tensor \"", entry.name, "\" has dtype ", entry.dtype,
           "; F32, F16, BF16, I64, I32 and U8 can be read: convert the file");
    at::Tensor tensor = at::empty(entry.shape, *entry.type);
    if (entry.end > entry.begin)
      std::memcpy(tensor.data_ptr(), header.data.data() + entry.begin, entry.end - entry.begin);
    tensors.emplace(entry.name, std::move(tensor));
  }
  return tensors;
}

StoredTensors map_safetensors(const SharedFile& file, const std::string& path,
                              std::map<std::string, std::string>& metadata) {
  Header header = parse_header(file->bytes(), path);
  StoredTensors tensors;
  for (const Entry& entry : header.entries) {
    StoredTensor& stored = tensors[entry.name];
    if (!entry.type) {
      stored.unusable = text("has dtype ", entry.dtype);
      continue;
    }
    std::vector<int64_t> strides(entry.shape.size(), 1);
    for (std::size_t d = strides.size(); d-- > 1;) strides[d - 1] = strides[d] * std::max<int64_t>(entry.shape[d], 1);
    stored.tensor = view_of_file(file, header.data.subspan(entry.begin, entry.end - entry.begin), entry.shape, strides,
                                 *entry.type);
  }
  metadata.merge(header.metadata);
  return tensors;
}

std::map<std::string, std::string> load_safetensors_metadata(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_header(file.bytes(), path.string()).metadata;
}

void save_safetensors(const std::filesystem::path& path, const Tensors& tensors,
                      const std::map<std::string, std::string>& metadata) {
  struct Source {
    std::string name;
    at::Tensor tensor;
  };
  std::vector<Source> sources;
  for (const auto& [name, tensor] : tensors) sources.push_back({name, tensor.detach().to(at::kCPU).contiguous()});
  std::stable_sort(sources.begin(), sources.end(),
                   [](const Source& a, const Source& b) { return a.tensor.element_size() > b.tensor.element_size(); });

  json root = json::object();
  if (!metadata.empty()) root[kMetadata] = metadata;
  std::uint64_t end = 0;
  for (const auto& [name, tensor] : sources) {
    const auto type = tensor.scalar_type();
    const auto dtype = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.type == type; });
    if (dtype == kDtypes.end() || name == kMetadata)
      fail(path.string(), ": cannot write tensor \"", name, "\" of type ", at::toString(type),
           "; expected F32, F16, BF16, I64, I32 or U8");
    const std::uint64_t begin = end;
    end += tensor.nbytes();
    root[name] = {{"dtype", dtype->name}, {"shape", tensor.sizes().vec()}, {"data_offsets", {begin, end}}};
  }
  std::string header = root.dump(-1, ' ', false, json::error_handler_t::replace);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = header.size();
  publish(path, [&](const std::filesystem::path& temporary) {
    std::ofstream out(temporary, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&length), sizeof length);
    out.write(header.data(), static_cast<std::streamsize>(header.size()));
    for (const Source& source : sources)
      out.write(static_cast<const char*>(source.tensor.data_ptr()),
                static_cast<std::streamsize>(source.tensor.nbytes()));
    out.close();
    if (!out)
      fail_system(errno, path.string(), "cannot be written", "make room on its disk, or give a writable folder");
  });
}

}  // namespace vitrine
