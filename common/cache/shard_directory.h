// The numbered files of one directory (00000.h5, 00001.h5, ...): which are there, and their tables, read when first
// needed.
#ifndef VITRINE_COMMON_CACHE_SHARD_DIRECTORY_H_
#define VITRINE_COMMON_CACHE_SHARD_DIRECTORY_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/cache/container.h"
#include "common/plan/shard_layout.h"

namespace vitrine {

/// "00012.h5".
std::string shard_file_name(std::uint64_t number);

class ShardDirectory {
 public:
  /// Called once for each file, when its table has been read; throws Error for a file that does not belong here.
  using Check = std::function<void(const Container&, std::uint64_t number)>;

  /// Lists the directory once and looks at no file; those that come later are not seen. A missing directory is an empty
  /// shard_directory. Whatever has a shard's name is counted, a directory too: open() then throws.
  ShardDirectory(std::filesystem::path directory, Check check);

  const std::filesystem::path& directory() const { return directory_; }
  std::uint64_t count() const { return slots_.size(); }
  const std::vector<std::uint64_t>& numbers() const { return numbers_; }  ///< ascending
  bool holds(std::uint64_t number) const { return slots_.contains(number); }
  /// The files' sizes, asked for one by one at the first call and remembered. What is no file, or is gone, has none.
  std::uint64_t stored_bytes() const;
  /// Throws Error when the file is missing, damaged or does not belong. Any thread; without a lock and O(1) once the
  /// file was opened. What it returns keeps the place of chunks alone: json() is empty, it was for the check.
  const Container& open(std::uint64_t number) const;
  /// Passes of which all shards are there, ascending.
  std::vector<std::uint32_t> complete_passes(const ShardLayout& layout) const;

 private:
  struct Slot {
    ~Slot() { delete container.load(); }
    std::atomic<const Container*> container = nullptr;  // set once, owned
  };
  std::filesystem::path directory_;
  Check check_;
  std::vector<std::uint64_t> numbers_;
  mutable std::unordered_map<std::uint64_t, Slot> slots_;  // its keys stay as the constructor made them
  mutable std::mutex opening_;
  mutable std::vector<std::shared_ptr<const Datasets>> datasets_;  // the different ones, under opening_
  mutable std::once_flag measured_;
  mutable std::uint64_t stored_bytes_ = 0;  // once measured_
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_SHARD_DIRECTORY_H_
