#include "common/models/weights/stored_tensor.h"

#include <ATen/ATen.h>

#include <bit>
#include <cstring>

namespace vitrine {

static_assert(std::endian::native == std::endian::little, "weight files are little-endian");

at::Tensor view_of_file(const SharedFile& file, std::span<const std::byte> bytes,
                        const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides,
                        at::ScalarType type) {
  const auto size = static_cast<std::size_t>(at::elementSize(type));
  auto* address = const_cast<std::byte*>(bytes.data());
  if (bytes.empty()) return at::empty(sizes, type);
  if (reinterpret_cast<std::uintptr_t>(address) % size != 0) {
    const at::Tensor copy = at::empty({static_cast<std::int64_t>(bytes.size() / size)}, type);
    std::memcpy(copy.data_ptr(), address, bytes.size() / size * size);
    return copy.as_strided(sizes, strides);
  }
  return at::from_blob(
      address, sizes, strides, [file](void*) {}, at::TensorOptions(type));
}

}  // namespace vitrine
