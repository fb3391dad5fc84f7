#include "common/cache/container_writer.h"

#include <hdf5.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/cache/container.h"
#include "common/codec/frame.h"

namespace vitrine {
namespace {

constexpr H5Z_filter_t kZstdFilter = 32015;  // registered with The HDF Group

// HDF5 only writes to memory, so its failures mean that memory ran out.
[[noreturn]] void fail_hdf5(const char* verb, const char* what) {
  throw Error(ErrorKind::kMemory,
              {.what = text("HDF5 failed to ", verb, what), .remedy = "check that there is memory left"});
}

// Owns an HDF5 identifier; `closer` depends on its kind.
class Handle {
 public:
  Handle(hid_t id, herr_t (*closer)(hid_t), const char* what) : id_(id), close_(closer), what_(what) {
    if (id < 0) fail_hdf5("make ", what);
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(Handle&& other) noexcept : id_(other.id_), close_(other.close_), what_(other.what_) { other.id_ = -1; }
  Handle& operator=(Handle&&) = delete;
  operator hid_t() const { return id_; }
  // Closes explicitly, to see errors of writes on closing.
  void close() {
    const hid_t id = id_;
    id_ = -1;
    if (close_(id) < 0) fail_hdf5("write ", what_);
  }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
  const char* what_;
};

void must(herr_t result, const char* what) {
  if (result < 0) fail_hdf5("", what);
}

// HDF5 requires a dataset's filter to be registered, even if chunks are already compressed. Never called.
std::size_t no_filter(unsigned, std::size_t, const unsigned*, std::size_t, std::size_t*, void**) {
  return 0;
}

void register_filter() {
  const H5Z_class2_t filter{H5Z_CLASS_T_VERS, kZstdFilter, 1, 1, "zstd", nullptr, nullptr, no_filter};
  must(H5Zregister(&filter), "register the zstd filter");
}

Handle make_type(const std::string& dtype, const std::vector<FieldSpec>& fields) {
  if (dtype == "<f2") {
    Handle type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose, "a type");
    must(H5Tset_fields(type, 15, 10, 5, 0, 10), "describe fp16");
    must(H5Tset_size(type, 2), "describe fp16");
    must(H5Tset_ebias(type, 15), "describe fp16");
    return type;
  }
  if (dtype == "|V40") {
    Handle type(H5Tcreate(H5T_COMPOUND, 40), H5Tclose, "a type");
    for (const FieldSpec& field : fields)
      must(H5Tinsert(type, field.name.c_str(), field.offset, make_type(field.dtype, {})), "describe a field");
    return type;
  }
  const std::pair<const char*, hid_t> plain[] = {
      {"<f4", H5T_IEEE_F32LE}, {"|i1", H5T_STD_I8LE},  {"|u1", H5T_STD_U8LE},  {"<u2", H5T_STD_U16LE},
      {"<i2", H5T_STD_I16LE},  {"<i4", H5T_STD_I32LE}, {"<u4", H5T_STD_U32LE}, {"<u8", H5T_STD_U64LE}};
  for (const auto& [name, type] : plain)
    if (dtype == name) return Handle(H5Tcopy(type), H5Tclose, "a type");
  throw std::logic_error("no HDF5 type for " + dtype);
}

struct Frame {
  std::vector<std::byte> bytes;
  std::uint64_t hash = 0, offset = 0;  // offset: first as reported by HDF5, then in the file
};

// The data of one dataset, prepared before HDF5 is called.
struct Prepared {
  const DatasetSpec* spec;
  DatasetInfo info;
  std::vector<Frame> frames;
};

std::vector<std::byte> compress_chunk(std::span<const std::byte> rows, std::uint64_t chunk_bytes, int level) {
  if (rows.size() == chunk_bytes) return compress_frame(rows, level);
  std::vector<std::byte> padded(rows.begin(), rows.end());
  padded.resize(chunk_bytes);
  return compress_frame(padded, level);
}

// Moves the frames out of `spec`, if it has them.
Prepared prepare(DatasetSpec& spec, std::uint64_t first_chunk, int level) {
  const bool finished = spec.chunks.empty();
  const std::size_t count = finished ? spec.frames.size() : spec.chunks.size();
  Prepared made{&spec, {spec.name, spec.dtype, spec.shape, spec.chunk_rows, first_chunk, count}, {}};
  if (spec.name.empty() || spec.name.size() >= table::kNameBytes || !item_bytes(spec.dtype) || spec.shape.empty() ||
      spec.shape.size() > table::kMaxRank || std::ranges::count(spec.shape, 0u) != 0 || spec.chunk_rows == 0 ||
      count != (spec.shape[0] - 1) / spec.chunk_rows + 1 || made.info.chunk_bytes() >= 1ull << 32)
    throw std::logic_error("dataset " + spec.name + " is inconsistent");
  const std::uint64_t all = made.info.row_bytes() * spec.shape[0], chunk_bytes = made.info.chunk_bytes();
  for (std::size_t c = 0; c < count; ++c) {
    if (!finished && spec.chunks[c].size() != std::min(chunk_bytes, all - c * chunk_bytes))
      throw std::logic_error(text("chunk ", c, " of dataset ", spec.name, " has ", spec.chunks[c].size(), " bytes"));
    Frame frame;
    frame.bytes = finished ? std::move(spec.frames[c]) : compress_chunk(spec.chunks[c], chunk_bytes, level);
    frame.hash = xxh3(frame.bytes);
    made.frames.push_back(std::move(frame));
  }
  return made;
}

std::uint64_t table_bytes(const std::vector<Prepared>& datasets, const std::string& json) {
  std::uint64_t bytes = table::kHeaderBytes + table::kChecksumBytes + json.size();
  for (const Prepared& dataset : datasets) bytes += table::kDatasetBytes + table::kChunkBytes * dataset.frames.size();
  return bytes;
}

Handle make_dataset(hid_t file, const Prepared& dataset) {
  const DatasetSpec& spec = *dataset.spec;
  const std::vector<hsize_t> shape(spec.shape.begin(), spec.shape.end());
  std::vector<hsize_t> chunk = shape;
  chunk[0] = spec.chunk_rows;
  const auto rank = static_cast<int>(shape.size());
  // HDF5 allows a chunk larger than the dataset only if the dataset is extensible.
  std::vector<hsize_t> largest = shape;
  largest[0] = std::max(shape[0], chunk[0]);
  const Handle space(H5Screate_simple(rank, shape.data(), largest.data()), H5Sclose, "a shape");
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "properties");
  must(H5Pset_chunk(properties, rank, chunk.data()), "set the chunks");
  must(H5Pset_filter(properties, kZstdFilter, H5Z_FLAG_MANDATORY, 0, nullptr), "set the filter");
  must(H5Pset_obj_track_times(properties, false), "turn times off");
  must(H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER), "turn filling off");
  const Handle type = make_type(spec.dtype, spec.fields);
  return Handle(H5Dcreate2(file, spec.name.c_str(), type, space, H5P_DEFAULT, properties, H5P_DEFAULT), H5Dclose,
                "a dataset");
}

void write_attribute(hid_t file, const std::string& json) {
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "a type");
  must(H5Tset_size(type, json.size()), "set the attribute's size");
  must(H5Tset_strpad(type, H5T_STR_NULLPAD), "set the attribute's padding");
  must(H5Tset_cset(type, H5T_CSET_UTF8), "set the attribute's character set");
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose, "a shape");
  Handle attribute(H5Acreate2(file, "vitrine", type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, "the attribute");
  must(H5Awrite(attribute, type, json.data()), "write the attribute");
  attribute.close();
}

// A file that HDF5 builds in memory. If the disk fills up while HDF5 writes, HDF5 cannot close the file and crashes the
// process at exit; so only finished bytes are written to disk, by us.
class MemoryFile {
 public:
  MemoryFile() = default;
  ~MemoryFile() { std::free(memory_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  /// Installs this in the access properties of one file. Must outlive both.
  void attach(hid_t access) {
    constexpr std::size_t kGrowth = 1 << 20;
    H5FD_file_image_callbacks_t callbacks{allocate, copy, grow, keep_or_free, share, forget, this};
    must(H5Pset_file_image_callbacks(access, &callbacks), "work in memory");
    must(H5Pset_fapl_core(access, kGrowth, /*backing_store=*/false), "work in memory");
  }
  /// Closes the file; then bytes() is the file's contents, including the user block.
  void finish(Handle& file, std::uint64_t user_block) {
    file.close();
    constexpr std::size_t kEndInSuperblock = 28;  // HDF5 File Format Specification 3.0, II.A, versions 2 and 3
    std::uint64_t end = 0;                        // of the file; the buffer is a multiple of kGrowth
    if (memory_ != nullptr && user_block + kEndInSuperblock + sizeof end <= capacity_)
      std::memcpy(&end, memory_ + user_block + kEndInSuperblock, sizeof end);
    if (end <= user_block || end > capacity_)
      fail("HDF5 wrote an unexpected file layout; this version of HDF5 is not supported");
    bytes_ = {memory_, static_cast<std::size_t>(end)};
  }
  std::span<char> bytes() const { return bytes_; }

 private:
  static void* allocate(std::size_t size, H5FD_file_image_op_t, void* self) {
    static_cast<MemoryFile*>(self)->capacity_ = size;
    return std::malloc(size);
  }
  static void* copy(void* to, const void* from, std::size_t size, H5FD_file_image_op_t, void*) {
    return std::memcpy(to, from, size);
  }
  static void* grow(void* memory, std::size_t size, H5FD_file_image_op_t, void* self) {
    static_cast<MemoryFile*>(self)->capacity_ = size;
    return std::realloc(memory, size);
  }
  static herr_t keep_or_free(void* memory, H5FD_file_image_op_t reason, void* self) {
    if (reason == H5FD_FILE_IMAGE_OP_FILE_CLOSE && static_cast<MemoryFile*>(self)->memory_ == nullptr)
      static_cast<MemoryFile*>(self)->memory_ = static_cast<char*>(memory);
    else
      std::free(memory);
    return 0;
  }
  static void* share(void* self) { return self; }
  static herr_t forget(void*) { return 0; }

  char* memory_ = nullptr;  // owned, once the file is closed
  std::size_t capacity_ = 0;
  std::span<char> bytes_;
};

void make_hdf5(MemoryFile& out, std::vector<Prepared>& datasets, const std::string& json, std::uint64_t user_block) {
  must(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr), "turn its own messages off");  // we report errors ourselves
  register_filter();
  const Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "properties");
  must(H5Pset_userblock(creation, user_block), "set the user block");
  must(H5Pset_obj_track_times(creation, false), "turn times off");
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "properties");
  must(H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110), "set the version");
  out.attach(access);
  Handle file(H5Fcreate("vitrine", H5F_ACC_TRUNC, creation, access), H5Fclose, "the file");
  write_attribute(file, json);
  std::vector<Handle> handles;
  std::size_t most = 0;
  for (const Prepared& dataset : datasets) {
    handles.push_back(make_dataset(file, dataset));
    most = std::max(most, dataset.frames.size());
  }
  // Group by group, so that data read together is adjacent.
  const auto each = [&](const auto& act) {
    for (std::size_t c = 0; c < most; ++c)
      for (std::size_t d = 0; d < datasets.size(); ++d)
        if (c < datasets[d].frames.size()) {
          std::vector<hsize_t> corner(datasets[d].spec->shape.size(), 0);
          corner[0] = c * datasets[d].spec->chunk_rows;
          act(handles[d], corner, datasets[d].frames[c]);
        }
  };
  each([](hid_t dataset, const std::vector<hsize_t>& corner, Frame& frame) {
    must(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, corner.data(), frame.bytes.size(), frame.bytes.data()),
         "write a chunk");
  });
  each([](hid_t dataset, const std::vector<hsize_t>& corner, Frame& frame) {
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    must(H5Dget_chunk_info_by_coord(dataset, corner.data(), &mask, &address, &size), "find a chunk");
    if (address == HADDR_UNDEF || size != frame.bytes.size() || mask != 0)
      throw Error(ErrorKind::kInternal,
                  {.what = "HDF5 lost a chunk that it had written", .remedy = "please report it"});
    frame.offset = address;
  });
  for (Handle& handle : handles) handle.close();
  out.finish(file, user_block);
}

// HDF5 1.10 reports addresses relative to the user block's end, later versions to the file's beginning: detect which.
void locate_frames(const std::filesystem::path& path, std::span<const char> image, std::vector<Prepared>& datasets,
                   std::uint64_t user_block) {
  for (Prepared& dataset : datasets)
    for (Frame& frame : dataset.frames) {
      const auto lies_at = [&](std::uint64_t offset) {
        return offset >= user_block && offset <= image.size() && frame.bytes.size() <= image.size() - offset &&
               std::memcmp(image.data() + offset, frame.bytes.data(), frame.bytes.size()) == 0;
      };
      if (lies_at(frame.offset + user_block))
        frame.offset += user_block;
      else if (!lies_at(frame.offset))
        fail(path.string(), ": a chunk of dataset ", dataset.spec->name,
             " is not where HDF5 says; this version of HDF5 is not supported");
    }
}

std::string make_table(const std::vector<Prepared>& datasets, const std::string& json, std::uint64_t bytes,
                       std::uint64_t user_block, std::uint64_t file_bytes, std::uint32_t required_flags) {
  using namespace table;
  std::uint64_t chunks = 0;
  for (const Prepared& dataset : datasets) chunks += dataset.frames.size();
  std::string out(kMagic);
  append(out, kMajor);
  append(out, kMinor);
  append(out, required_flags);
  append(out, std::uint32_t{0});  // ignorable flags
  append(out, static_cast<std::uint32_t>(datasets.size()));
  append(out, bytes);
  append(out, user_block);
  append(out, file_bytes);
  append(out, chunks);
  append(out, static_cast<std::uint32_t>(json.size()));
  append(out, std::uint32_t{0});
  for (const auto& [spec, info, frames] : datasets) {
    std::string name = info.name, dtype = info.dtype;
    name.resize(kNameBytes), dtype.resize(kDtypeBytes);
    out += name + dtype;
    append(out, static_cast<std::uint32_t>(info.shape.size()));
    append(out, info.chunk_rows);
    for (std::size_t axis = 0; axis < kMaxRank; ++axis)
      append(out, axis < info.shape.size() ? info.shape[axis] : std::uint64_t{0});
    append(out, info.first_chunk);
    append(out, info.chunk_count);
  }
  for (const Prepared& dataset : datasets)
    for (const Frame& frame : dataset.frames) {
      append(out, frame.offset);
      append(out, static_cast<std::uint32_t>(frame.bytes.size()));
      append(out, static_cast<std::uint32_t>(dataset.info.chunk_bytes()));
      append(out, frame.hash);
    }
  out += json;
  append(out, xxh3(out));
  if (out.size() != bytes) throw std::logic_error("the table has an unexpected size");
  return out;
}

}  // namespace

std::unique_lock<std::mutex> hdf5_lock() {
  static std::mutex hdf5;
  return std::unique_lock(hdf5);
}

const std::map<std::string, std::string>& written_by() {
  static const std::map<std::string, std::string> versions = [] {
    unsigned major = 0, minor = 0, release = 0;
    const auto lock = hdf5_lock();
    must(H5get_libversion(&major, &minor, &release), "say its version");
    return std::map<std::string, std::string>{
        {"vitrine", VITRINE_VERSION}, {"hdf5", text(major, '.', minor, '.', release)}, {"zstd", ZSTD_versionString()}};
  }();
  return versions;
}

FileRecord write_container(const std::filesystem::path& path, std::vector<DatasetSpec> specs, const std::string& json,
                           int level, std::uint32_t required_flags, Existing existing) {
  std::vector<Prepared> datasets;
  std::uint64_t chunks = 0;
  for (DatasetSpec& spec : specs) {
    datasets.push_back(prepare(spec, chunks, level));
    chunks += datasets.back().frames.size();
  }
  const std::uint64_t bytes = table_bytes(datasets, json),
                      user_block = std::max(table::kMinUserBlock, std::bit_ceil(bytes));
  MemoryFile file;
  {
    const auto lock = hdf5_lock();
    make_hdf5(file, datasets, json, user_block);
  }
  const std::span<char> image = file.bytes();
  locate_frames(path, image, datasets, user_block);
  const std::string table = make_table(datasets, json, bytes, user_block, image.size(), required_flags);
  std::ranges::copy(table, image.begin());
  const std::string_view whole(image.data(), image.size());
  if (!publish(path, whole, existing)) return describe_file(path);
  return {path.filename().string(), whole.size(), xxh3(whole)};
}

}  // namespace vitrine
