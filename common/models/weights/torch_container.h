// The outside of a file that torch.save wrote: the pickle of what was saved, and the bytes of its storages.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_TORCH_CONTAINER_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_TORCH_CONTAINER_H_

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/models/weights/pickle.h"
#include "common/models/weights/zip_archive.h"

namespace vitrine {

/// Either form: the zip archive of PyTorch 1.6 and later (also TorchScript's), or the sequence of pickles before.
class TorchContainer {
 public:
  /// True if `bytes` begin like either form.
  static bool is_container(std::span<const std::byte> bytes);

  /// Parses everything but the storages. `bytes` must outlive this; `path` is for messages. Throws Error: kCorrupt for
  /// damage, kInput for an archive of something else and for big-endian files.
  TorchContainer(std::span<const std::byte> bytes, const std::string& path);

  const Pickle& pickle() const { return *pickle_; }
  /// The bytes of the storage that the pickle calls `key`; checksums are checked where the file has them. Throws Error,
  /// kCorrupt, unless there are exactly `bytes` of them.
  std::span<const std::byte> storage(std::string_view key, std::uint64_t bytes) const;

 private:
  void read_archive(std::span<const std::byte> bytes);
  void read_sequence(std::span<const std::byte> bytes);
  void read_storages(std::span<const std::byte> rest, const Pickle& keys);
  [[noreturn]] void damaged(const std::string& what) const;

  std::string path_;
  std::optional<Pickle> pickle_;
  std::optional<ZipArchive> archive_;
  std::string root_;                                                         // of the archive's entries: "archive/"
  std::map<std::string, std::span<const std::byte>, std::less<>> storages_;  // without an archive
};

/// What a persistent id of torch.save names.
struct TorchStorage {
  std::string_view type;  ///< "torch.FloatStorage"
  std::string_view key;
  std::int64_t elements = 0;
};
/// nullopt if `node` is not the id of a storage, or of a part of another one.
std::optional<TorchStorage> torch_storage(const Pickle& pickle, const PickleNode& node);

/// Bytes of an element of a class of storages ("torch.FloatStorage"); 0 if it is unknown.
std::size_t torch_element_size(std::string_view type);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_TORCH_CONTAINER_H_
