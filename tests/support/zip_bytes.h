// Archives made by hand, as torch.save writes them, and arrays as NumPy does.
#ifndef VITRINE_TESTS_SUPPORT_ZIP_BYTES_H_
#define VITRINE_TESTS_SUPPORT_ZIP_BYTES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine::testing {

struct ZipMember {
  std::string name, bytes;
};

/// The low `size` bytes of a number, little-endian.
inline std::string little_endian(std::uint64_t number, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(number >> (8 * i));
  return out;
}

/// Without compression and checksums. `zip64`: the directory's place and all sizes are in the 64-bit records alone.
inline std::string zip_bytes(const std::vector<ZipMember>& members, bool zip64 = false) {
  std::string out, directory;
  for (const ZipMember& member : members) {
    const std::uint64_t header = out.size(), size = member.bytes.size();
    const std::string sizes = little_endian(zip64 ? 0xffffffff : size, 4);
    const std::string name_size = little_endian(member.name.size(), 2);
    out += "PK\3\4" + std::string(14, '\0') + sizes + sizes + name_size + std::string(2, '\0') + member.name +
           member.bytes;
    std::string extra;
    if (zip64)
      extra = little_endian(1, 2) + little_endian(24, 2) + little_endian(size, 8) + little_endian(size, 8) +
              little_endian(header, 8);
    directory += "PK\1\2" + std::string(16, '\0') + sizes + sizes + name_size + little_endian(extra.size(), 2) +
                 std::string(10, '\0') + little_endian(zip64 ? 0xffffffff : header, 4) + member.name + extra;
  }
  const std::uint64_t begin = out.size(), size = directory.size(), count = members.size();
  out += directory;
  if (zip64) {
    const std::uint64_t record = out.size();
    out += "PK\6\6" + little_endian(44, 8) + std::string(12, '\0') + little_endian(count, 8) + little_endian(count, 8) +
           little_endian(size, 8) + little_endian(begin, 8);
    out += "PK\6\7" + std::string(4, '\0') + little_endian(record, 8) + little_endian(1, 4);
  }
  const std::string full(4, '\xff');
  return out + "PK\5\6" + std::string(4, '\0') + little_endian(count, 2) + little_endian(count, 2) +
         (zip64 ? full : little_endian(size, 4)) + (zip64 ? full : little_endian(begin, 4)) + std::string(2, '\0');
}

/// What torch.save of {name: FloatTensor of `elements` elements, storage "0"} pickles.
inline std::string pickled_tensor(std::string_view name, int elements) {
  const auto word = [](std::string_view one) { return "X" + little_endian(one.size(), 4) + std::string(one); };
  const std::string count = "K" + little_endian(static_cast<std::uint64_t>(elements), 1);
  return "\x80\2}" + word(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + word("storage") + "ctorch\nFloatStorage\n" +
         word("0") + word("cpu") + count + std::string("tQK\0", 4) + count + "\x85K\1\x85\x89" +
         "ccollections\nOrderedDict\n)RtRs.";
}

/// A .npy file of version 1 with this header: numpy_array("<f4", false, "(2, 3)", values).
inline std::string numpy_array(const std::string& descr, bool fortran, const std::string& shape,
                               const std::string& values) {
  const std::string header =
      "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }\n";
  return std::string("\x93NUMPY\1\0", 8) + little_endian(header.size(), 2) + header + values;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_ZIP_BYTES_H_
