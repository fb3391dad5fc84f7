#include "common/models/weights/numpy_archive.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <numeric>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/models/weights/zip_archive.h"

namespace vitrine {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kArrayEnding = ".npy";
constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;
constexpr std::size_t kMaxDimensions = 8;  // of a weight

struct NumpyType {
  std::string_view descr;
  at::ScalarType type;
};
constexpr std::array kNumpyTypes{NumpyType{"<f4", at::kFloat},  NumpyType{"<f2", at::kHalf},
                                 NumpyType{"<f8", at::kDouble}, NumpyType{"<i8", at::kLong},
                                 NumpyType{"<i4", at::kInt},    NumpyType{"|u1", at::kByte}};

struct NumpyArray {
  std::string descr;
  bool fortran = false;
  std::vector<std::int64_t> sizes;
  std::span<const std::byte> values;
};

[[noreturn]] void damaged_array(const std::string& path, const std::string& name) {
  throw Error(ErrorKind::kCorrupt, {.path = path,
                                    .what = text("the header of its array ", name, " cannot be read"),
                                    .remedy = "the file is damaged, fetch it again"});
}

// What follows `key` in the header, which is a Python dict:
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
std::string_view after_key(std::string_view header, std::string_view key) {
  const std::size_t at = header.find(key);
  if (at == std::string_view::npos) return {};
  header.remove_prefix(at + key.size());
  header.remove_prefix(std::min(header.find_first_not_of(": "), header.size()));
  return header;
}

// "(2, 3)"; false for anything else, and for sizes that no file has.
bool read_sizes(std::string_view words, std::vector<std::int64_t>& sizes) {
  const std::size_t end = words.find(')');
  if (words.empty() || words.front() != '(' || end == std::string_view::npos) return false;
  words = words.substr(1, end - 1);
  std::int64_t elements = 1;  // without sizes of 0, behind which strides would overflow otherwise
  while (!words.empty()) {
    std::int64_t size = -1;
    const auto [rest, code] = std::from_chars(words.data(), words.data() + words.size(), size);
    if (code != std::errc{} || size < 0 || size > kMaxElements / elements || sizes.size() == kMaxDimensions)
      return false;
    elements *= std::max<std::int64_t>(size, 1);
    sizes.push_back(size);
    words.remove_prefix(static_cast<std::size_t>(rest - words.data()));
    words.remove_prefix(std::min(words.find_first_not_of(", "), words.size()));
  }
  return true;
}

// The format is specified in numpy/lib/format.py: magic, version, length of the header, header, values.
NumpyArray parse_array(std::span<const std::byte> bytes, const std::string& path, const std::string& name) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!all.starts_with("\x93NUMPY"sv) || all.size() < 12) damaged_array(path, name);
  const std::size_t length_bytes = all[6] == 1 ? 2 : 4, start = 8 + length_bytes;
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i)
    length |= static_cast<std::size_t>(static_cast<unsigned char>(all[8 + i])) << 8 * i;
  if (length > all.size() - start) damaged_array(path, name);
  const std::string_view header = all.substr(start, length), descr = after_key(header, "'descr'"),
                         order = after_key(header, "'fortran_order'");
  NumpyArray out;
  out.values = bytes.subspan(start + length);
  out.fortran = order.starts_with("True");
  if (!read_sizes(after_key(header, "'shape'"), out.sizes) || (!out.fortran && !order.starts_with("False")))
    damaged_array(path, name);
  // Anything but a quoted word is a structure, which no weight is.
  out.descr = descr.starts_with("'") ? std::string(descr.substr(1, descr.find('\'', 1) - 1)) : "a structure";
  return out;
}

std::vector<std::int64_t> strides_of(const NumpyArray& array) {
  std::vector<std::int64_t> strides(array.sizes.size());
  std::int64_t step = 1;
  for (std::size_t i = 0; i < strides.size(); ++i) {
    const std::size_t axis = array.fortran ? i : strides.size() - 1 - i;
    strides[axis] = step;
    step *= array.sizes[axis];
  }
  return strides;
}

StoredTensor tensor_of(const SharedFile& file, const NumpyArray& array, const std::string& path,
                       const std::string& name) {
  const auto known = std::ranges::find(kNumpyTypes, array.descr, &NumpyType::descr);
  if (known == kNumpyTypes.end()) return {{}, text("has dtype ", array.descr)};
  const std::int64_t elements =
      std::accumulate(array.sizes.begin(), array.sizes.end(), std::int64_t{1}, std::multiplies<>());
  const auto bytes = static_cast<std::size_t>(elements) * at::elementSize(known->type);
  if (array.values.size() != bytes) damaged_array(path, name);
  return {view_of_file(file, array.values, array.sizes, strides_of(array), known->type), ""};
}

bool ends_with_part(std::string_view name, std::string_view part) {
  return name == part || (name.ends_with(part) && name[name.size() - part.size() - 1] == '.');
}

// Flax's layout to PyTorch's, as views; a bias of heads may be copied.
void as_torch(std::string& name, at::Tensor& tensor) {
  const auto renamed = [&](std::string_view part) {
    if (!ends_with_part(name, part)) return false;
    name = name.substr(0, name.size() - part.size()) + "weight";
    return true;
  };
  if (ends_with_part(name, "bias") && tensor.dim() == 2) tensor = tensor.flatten();
  if (renamed("scale") || !renamed("kernel")) return;
  const bool from_heads = name.find(".out.weight") != std::string::npos;
  if (tensor.dim() == 3) tensor = from_heads ? tensor.flatten(0, 1) : tensor.flatten(1, 2);
  if (tensor.dim() == 4) tensor = tensor.permute({3, 2, 0, 1});
  if (tensor.dim() == 2) tensor = tensor.t();
}

}  // namespace

bool is_numpy_archive(std::span<const std::byte> bytes) {
  return ZipArchive::first_name(bytes).ends_with(kArrayEnding);
}

StoredTensors read_numpy_archive(const SharedFile& file, const std::string& path) {
  const ZipArchive archive(file->bytes(), path);
  StoredTensors out;
  for (const std::string& entry : archive.names()) {
    if (!entry.ends_with(kArrayEnding)) continue;
    std::string name = entry.substr(0, entry.size() - kArrayEnding.size());
    StoredTensor stored = tensor_of(file, parse_array(archive.read(entry), path, name), path, name);
    std::ranges::replace(name, '/', '.');
    if (stored.tensor.defined()) as_torch(name, stored.tensor);
    out.emplace(std::move(name), std::move(stored));
  }
  return out;
}

}  // namespace vitrine
