// Reads Python's pickles (protocols 2 to 5, PEP 307, 3154, 574) as data: nothing that a pickle names is looked up or
// called. A call in the pickle becomes a node that names the callable and its arguments.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_PICKLE_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_PICKLE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine {

/// One value of a pickle. Others are named by their number in Pickle.
struct PickleNode {
  enum class Kind : std::uint8_t {
    kNone,
    kBool,        ///< integer: 0 or 1
    kInteger,     ///< integer; a number beyond 64 bits is kOther
    kNumber,      ///< number
    kText,        ///< text: UTF-8, or the bytes of a Python 2 string
    kBytes,       ///< text
    kTuple,       ///< items
    kList,        ///< items
    kDict,        ///< items: a key, its value, the next key, ...; the last of equal keys counts
    kGlobal,      ///< text: "module.name"
    kCall,        ///< callable(args), then `state` set and `items` added as to a list or dictionary
    kPersistent,  ///< args: what the pickle's owner is asked for
    kOther        ///< sets and very long integers
  };
  Kind kind = Kind::kNone;
  union {
    std::int64_t integer = 0;
    double number;
  };
  std::string_view text;
  std::vector<std::uint32_t> items;
  std::uint32_t callable = 0, args = 0, state = 0;  ///< 0, which is None, if absent
};

/// A parsed pickle. Nodes may refer to each other in circles, as Python's objects do.
class Pickle {
 public:
  /// Reads one pickle from the beginning of `bytes`, which must outlive this; at most 16 MiB of them are read, and
  /// memory is proportional to what was read. `where`: how messages begin ("PATH: data.pkl"). Throws Error: kCorrupt
  /// if the bytes are not a pickle, kInput for an instruction that weight files do not use.
  Pickle(std::span<const std::byte> bytes, std::string where);

  const PickleNode& root() const { return nodes_[root_]; }
  const PickleNode& operator[](std::uint32_t number) const { return nodes_[number]; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(nodes_.size()); }
  /// Bytes that the pickle takes.
  std::size_t size() const { return size_; }
  /// The names of all globals.
  const std::set<std::string, std::less<>>& globals() const { return globals_; }
  /// The value of `key` in a dictionary, or null. `dict`: any node; has no keys unless it is a dictionary or call.
  const PickleNode* find(const PickleNode& dict, std::string_view key) const;

 private:
  friend class PickleMachine;
  std::deque<PickleNode> nodes_;  // pointers stay valid
  std::set<std::string, std::less<>> globals_;
  std::uint32_t root_ = 0;
  std::size_t size_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_PICKLE_H_
