#include <hdf5.h>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/cache/container_writer.h"
#include "tools/inspect/file_check.h"

namespace vitrine {
namespace {

constexpr H5Z_filter_t kZstdFilter = 32015;

// Owns an HDF5 identifier; negative if opening failed.
class Handle {
 public:
  Handle(hid_t id, herr_t (*closer)(hid_t)) : id_(id), close_(closer) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// Disables HDF5's own error output.
class Quiet {
 public:
  Quiet() {
    // Before HDF5's first call. At the program's end it would close what it leaked while reading damaged attributes,
    // and say at length that it cannot.
    [[maybe_unused]] static const herr_t leaves_the_end = H5dont_atexit();
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// Whether class and sign match NumPy's letter.
bool type_fits(hid_t type, const std::string& dtype) {
  if (H5Tget_size(type) != *item_bytes(dtype)) return false;
  const H5T_class_t kind = H5Tget_class(type);
  switch (dtype[1]) {
    case 'f':
      return kind == H5T_FLOAT && H5Tget_order(type) == H5T_ORDER_LE;
    case 'i':
      return kind == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
    case 'u':
      return kind == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_NONE;
    default:
      return kind == H5T_COMPOUND;
  }
}

std::string shape_problem(hid_t dataset, const DatasetInfo& info) {
  const Handle space(H5Dget_space(dataset), H5Sclose);
  const auto rank = static_cast<int>(info.shape.size());
  if (H5Sget_simple_extent_ndims(space) != rank) return "HDF5 sees a different number of axes";
  std::vector<hsize_t> shape(info.shape.size()), chunk(info.shape.size());
  H5Sget_simple_extent_dims(space, shape.data(), nullptr);
  const Handle properties(H5Dget_create_plist(dataset), H5Pclose);
  if (H5Pget_layout(properties) != H5D_CHUNKED || H5Pget_chunk(properties, rank, chunk.data()) != rank)
    return "HDF5 sees no chunks in it";
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    if (shape[axis] != info.shape[axis] || chunk[axis] != (axis == 0 ? info.chunk_rows : info.shape[axis]))
      return "HDF5 sees a different shape or chunk size";
  if (H5Pget_nfilters(properties) != 1) return "HDF5 sees a filter other than zstd";
  unsigned flags = 0, config = 0;
  std::size_t values = 0;
  if (H5Pget_filter2(properties, 0, &flags, &values, nullptr, 0, nullptr, &config) != kZstdFilter)
    return "HDF5 sees a filter other than zstd";
  return {};
}

std::optional<FileFault> check_dataset(hid_t file, const Container& container, std::size_t number,
                                       std::uint64_t user_block) {
  const DatasetInfo& info = container.datasets()[number];
  const Handle dataset(H5Dopen2(file, info.name.c_str(), H5P_DEFAULT), H5Dclose);
  if (dataset < 0) return FileFault{info.name, -1, "HDF5 does not find the dataset"};
  const Handle type(H5Dget_type(dataset), H5Tclose);
  if (!type_fits(type, info.dtype)) return FileFault{info.name, -1, "HDF5 sees a type other than " + info.dtype};
  if (const std::string problem = shape_problem(dataset, info); !problem.empty())
    return FileFault{info.name, -1, problem};
  std::vector<hsize_t> corner(info.shape.size(), 0);
  for (std::uint64_t chunk = 0; chunk < info.chunk_count; ++chunk) {
    corner[0] = chunk * info.chunk_rows;
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t bytes = 0;
    const Container::Place place = container.place(number, chunk);
    // Chunk addresses are relative to the user block's end in HDF5 1.10, to the file's beginning in later versions.
    const bool there = H5Dget_chunk_info_by_coord(dataset, corner.data(), &mask, &address, &bytes) >= 0 &&
                       address != HADDR_UNDEF && (address == place.offset || address + user_block == place.offset);
    if (!there || bytes != place.bytes || mask != 0)
      return FileFault{info.name, static_cast<std::int64_t>(chunk), "HDF5 and the table disagree on the chunk's place"};
  }
  return std::nullopt;
}

bool attribute_fits(hid_t file, const std::string& json) {
  const Handle attribute(H5Aopen(file, "vitrine", H5P_DEFAULT), H5Aclose);
  if (attribute < 0) return false;
  const Handle type(H5Aget_type(attribute), H5Tclose);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 || H5Tget_size(type) != json.size())
    return false;
  std::string there(json.size(), '\0');
  return H5Aread(attribute, type, there.data()) >= 0 && there == json;
}

// The first difference between HDF5 and the table. `access`: HDF5's file access properties for `path`.
std::optional<FileFault> difference(const Container& container, const std::filesystem::path& path, hid_t access) {
  const Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (file < 0) return FileFault{"", -1, "HDF5 cannot open it"};
  const Handle creation(H5Fget_create_plist(file), H5Pclose);
  hsize_t user_block = 0;
  H5Pget_userblock(creation, &user_block);
  if (!attribute_fits(file, container.json())) return FileFault{"", -1, "HDF5 sees a different attribute \"vitrine\""};
  H5G_info_t root;
  if (H5Gget_info(file, &root) < 0 || root.nlinks != container.datasets().size())
    return FileFault{"", -1, "HDF5 sees a different number of datasets"};
  for (std::size_t d = 0; d < container.datasets().size(); ++d)
    if (auto fault = check_dataset(file, container, d, user_block)) return fault;
  return std::nullopt;
}

}  // namespace

std::optional<FileFault> check_hdf5(const Container& container) {
  const auto lock = hdf5_lock();
  const Quiet quiet;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access, false, true);  // locks fail on network file systems, and the file is never written
#endif
  const std::optional<FileFault> fault = difference(container, container.path(), access);
  if (!fault) return fault;
  std::string bytes = read_file(container.path());
  const Handle memory(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  if (H5Pset_fapl_core(memory, 1 << 20, /*backing_store=*/false) < 0 ||
      H5Pset_file_image(memory, bytes.data(), bytes.size()) < 0)
    return FileFault{fault->dataset, fault->group, "HDF5 has no memory to check it", ErrorKind::kMemory};
  // HDF5 rejects the name of an existing file; a path below a file cannot exist.
  if (auto proven = difference(container, container.path() / "memory", memory)) {
    if (container.was_replaced()) return FileFault{fault->dataset, fault->group, kChangedInUse, ErrorKind::kIo};
    return proven;
  }
  return FileFault{fault->dataset, fault->group, "could not be read by HDF5 (" + fault->what + ")", ErrorKind::kIo};
}

}  // namespace vitrine
