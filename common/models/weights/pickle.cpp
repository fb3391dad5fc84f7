#include "common/models/weights/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "common/base/error.h"

namespace vitrine {
namespace {

using PickleKind = PickleNode::Kind;

constexpr std::size_t kMaxPickle = 16u << 20, kMaxGlobal = 256;
constexpr std::uint32_t kNone = 0, kFalse = 1, kTrue = 2;  // nodes that every pickle has

}  // namespace

/// Python's pickle machine: a stack of values, marks in it, and a memo of values that are used again.
class PickleMachine {
 public:
  PickleMachine(Pickle& out, std::span<const std::byte> bytes, const std::string& where)
      : out_(out), bytes_(bytes.first(std::min(bytes.size(), kMaxPickle))), where_(where) {
    out_.nodes_.resize(3);
    out_.nodes_[kFalse].kind = out_.nodes_[kTrue].kind = PickleKind::kBool;
    out_.nodes_[kTrue].integer = 1;
  }

  void run() {
    while (step(static_cast<unsigned char>(take(1)[0]))) continue;
    if (stack_.size() != 1) damaged("ends with more or less than one value");
    out_.root_ = stack_.back();
    out_.size_ = at_;
  }

 private:
  [[noreturn]] void damaged(const std::string& what) const {
    throw Error(
        ErrorKind::kCorrupt,
        {.path = where_, .what = text(what, " (byte ", at_, ")"), .remedy = "the file is damaged, fetch it again"});
  }

  // What is read.
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) {
      if (bytes_.size() == kMaxPickle)
        fail(where_, ": is longer than ", kMaxPickle >> 20,
             " MiB, more than any model's names; save only the state dict");
      damaged("ends early");
    }
    const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<std::size_t>(size));
    at_ += taken.size();
    return taken;
  }
  template <class Integer>
  Integer number() {
    Integer value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) damaged("ends early");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  // The stack.
  void push(std::uint32_t node) { stack_.push_back(node); }
  PickleNode& make(PickleKind kind) {
    PickleNode& node = out_.nodes_.emplace_back();
    node.kind = kind;
    push(static_cast<std::uint32_t>(out_.nodes_.size() - 1));
    return node;
  }
  std::uint32_t pop() {
    if (stack_.empty() || (!marks_.empty() && marks_.back() == stack_.size()))
      damaged("takes a value that is not there");
    const std::uint32_t node = stack_.back();
    stack_.pop_back();
    return node;
  }
  void pop_any() {  // Python's POP also takes a mark
    if (!marks_.empty() && marks_.back() == stack_.size())
      marks_.pop_back();
    else
      pop();
  }
  std::vector<std::uint32_t> pop_last(std::size_t count) {
    std::vector<std::uint32_t> items(count);
    while (count > 0) items[--count] = pop();
    return items;
  }
  std::vector<std::uint32_t> pop_to_mark() {
    if (marks_.empty()) damaged("takes values up to a mark that is not there");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<std::uint32_t> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  PickleNode& top() {
    if (stack_.empty() || (!marks_.empty() && marks_.back() == stack_.size()))
      damaged("changes a value that is not there");
    return out_.nodes_[stack_.back()];
  }

  // The instructions.
  void make_text(PickleKind kind, std::uint64_t size) {
    const std::string_view taken = take(size);
    make(kind).text = taken;
  }
  void make_integer(std::int64_t value) { make(PickleKind::kInteger).integer = value; }
  /// Two's complement of any length.
  void make_long(std::uint64_t size) {
    const std::string_view taken = take(size);
    if (taken.size() > 8) {
      make(PickleKind::kOther);
      return;
    }
    std::uint64_t value = !taken.empty() && (taken.back() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    std::memcpy(&value, taken.data(), taken.size());
    make_integer(static_cast<std::int64_t>(value));
  }
  void make_items(PickleKind kind, std::vector<std::uint32_t> items) {
    if (kind == PickleKind::kDict && items.size() % 2 != 0) damaged("has a dictionary with a key without a value");
    make(kind).items = std::move(items);
  }
  void make_number(std::uint64_t bits) { make(PickleKind::kNumber).number = std::bit_cast<double>(bits); }
  void make_global(std::string_view module, std::string_view name) {
    if (module.size() + name.size() > kMaxGlobal) damaged("names a global of more than 256 letters");
    const std::string& global = *out_.globals_.insert(text(module, '.', name)).first;
    make(PickleKind::kGlobal).text = global;
  }
  void make_global_of_lines() {
    const std::string_view module = line();
    make_global(module, line());
  }
  void make_global_of_stack() {
    const PickleNode &name = out_.nodes_[pop()], &module = out_.nodes_[pop()];
    if (name.kind != PickleKind::kText || module.kind != PickleKind::kText) damaged("names a global by no text");
    make_global(module.text, name.text);
  }
  void make_call() {
    const std::uint32_t args = pop(), callable = pop();
    PickleNode& call = make(PickleKind::kCall);
    call.args = args;
    call.callable = callable;
  }
  void make_persistent(std::uint32_t id) { make(PickleKind::kPersistent).args = id; }
  void set_state(std::uint32_t state) {
    if (top().kind == PickleKind::kCall) top().state = state;
  }
  void add(const std::vector<std::uint32_t>& items, bool pairs) {
    PickleNode& to = top();
    const bool call = to.kind == PickleKind::kCall;
    if (pairs ? to.kind != PickleKind::kDict && !call
              : to.kind != PickleKind::kList && to.kind != PickleKind::kOther && !call)
      damaged("adds items to a value that has none");
    if (pairs && items.size() % 2 != 0) damaged("has a dictionary with a key without a value");
    if (to.kind != PickleKind::kOther) to.items.insert(to.items.end(), items.begin(), items.end());
  }
  void remember(std::uint32_t key) {
    top();
    memo_[key] = stack_.back();
  }
  void recall(std::uint32_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) damaged("recalls a value that it never stored");
    push(found->second);
  }

  [[noreturn]] void unknown(unsigned char instruction) const {
    fail(where_, ": has the pickle instruction ", static_cast<int>(instruction), " (byte ", at_ - 1,
         "), which weight files do not use; load it where it was made and save its state dict with "
         "safetensors.torch.save_file");
  }

  bool step(unsigned char instruction);
  bool step_text(unsigned char instruction);
  bool step_items(unsigned char instruction);
  bool step_object(unsigned char instruction);

  Pickle& out_;
  std::span<const std::byte> bytes_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::vector<std::uint32_t> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, std::uint32_t> memo_;
};

// clang-format off
/// Numbers, the stack and the memo. False at the end of the pickle.
bool PickleMachine::step(unsigned char instruction) {
  switch (instruction) {
    case '.': return false;                                                // STOP
    case 0x80: take(1); break;                                             // PROTO
    case 0x95: take(8); break;                                             // FRAME
    case 'N': push(kNone); break;                                          // NONE
    case 0x88: push(kTrue); break;                                         // NEWTRUE
    case 0x89: push(kFalse); break;                                        // NEWFALSE
    case 'K': make_integer(number<std::uint8_t>()); break;                 // BININT1
    case 'M': make_integer(number<std::uint16_t>()); break;                // BININT2
    case 'J': make_integer(number<std::int32_t>()); break;                 // BININT
    case 0x8a: make_long(number<std::uint8_t>()); break;                   // LONG1
    case 0x8b: make_long(number<std::uint32_t>()); break;                  // LONG4
    case 'G': make_number(__builtin_bswap64(number<std::uint64_t>())); break;  // BINFLOAT, big-endian
    case '(': marks_.push_back(stack_.size()); break;                      // MARK
    case '0': pop_any(); break;                                            // POP
    case '1': pop_to_mark(); break;                                        // POP_MARK
    case '2': top(); push(stack_.back()); break;                           // DUP
    case 'q': remember(number<std::uint8_t>()); break;                     // BINPUT
    case 'r': remember(number<std::uint32_t>()); break;                    // LONG_BINPUT
    case 0x94: remember(static_cast<std::uint32_t>(memo_.size())); break;  // MEMOIZE
    case 'h': recall(number<std::uint8_t>()); break;                       // BINGET
    case 'j': recall(number<std::uint32_t>()); break;                      // LONG_BINGET
    default:
      if (!step_text(instruction) && !step_items(instruction) && !step_object(instruction)) unknown(instruction);
  }
  return true;
}

bool PickleMachine::step_text(unsigned char instruction) {
  switch (instruction) {
    case 0x8c: make_text(PickleKind::kText, number<std::uint8_t>()); break;    // SHORT_BINUNICODE
    case 'X': make_text(PickleKind::kText, number<std::uint32_t>()); break;    // BINUNICODE
    case 0x8d: make_text(PickleKind::kText, number<std::uint64_t>()); break;   // BINUNICODE8
    case 'U': make_text(PickleKind::kText, number<std::uint8_t>()); break;     // SHORT_BINSTRING
    case 'T': make_text(PickleKind::kText, number<std::uint32_t>()); break;    // BINSTRING
    case 'C': make_text(PickleKind::kBytes, number<std::uint8_t>()); break;    // SHORT_BINBYTES
    case 'B': make_text(PickleKind::kBytes, number<std::uint32_t>()); break;   // BINBYTES
    case 0x8e: make_text(PickleKind::kBytes, number<std::uint64_t>()); break;  // BINBYTES8
    case 0x96: make_text(PickleKind::kBytes, number<std::uint64_t>()); break;  // BYTEARRAY8
    default: return false;
  }
  return true;
}

bool PickleMachine::step_items(unsigned char instruction) {
  switch (instruction) {
    case ')': make_items(PickleKind::kTuple, {}); break;             // EMPTY_TUPLE
    case 0x85: make_items(PickleKind::kTuple, pop_last(1)); break;   // TUPLE1
    case 0x86: make_items(PickleKind::kTuple, pop_last(2)); break;   // TUPLE2
    case 0x87: make_items(PickleKind::kTuple, pop_last(3)); break;   // TUPLE3
    case 't': make_items(PickleKind::kTuple, pop_to_mark()); break;  // TUPLE
    case ']': make_items(PickleKind::kList, {}); break;              // EMPTY_LIST
    case 'l': make_items(PickleKind::kList, pop_to_mark()); break;   // LIST
    case '}': make_items(PickleKind::kDict, {}); break;              // EMPTY_DICT
    case 'd': make_items(PickleKind::kDict, pop_to_mark()); break;   // DICT
    case 0x8f: make(PickleKind::kOther); break;                      // EMPTY_SET
    case 0x91: pop_to_mark(), make(PickleKind::kOther); break;       // FROZENSET
    case 'a': add(pop_last(1), false); break;                        // APPEND
    case 'e': add(pop_to_mark(), false); break;                      // APPENDS
    case 0x90: add(pop_to_mark(), false); break;                     // ADDITEMS
    case 's': add(pop_last(2), true); break;                         // SETITEM
    case 'u': add(pop_to_mark(), true); break;                       // SETITEMS
    default: return false;
  }
  return true;
}

bool PickleMachine::step_object(unsigned char instruction) {
  switch (instruction) {
    case 'c': make_global_of_lines(); break;     // GLOBAL
    case 0x93: make_global_of_stack(); break;    // STACK_GLOBAL
    case 'R': make_call(); break;                // REDUCE: a callable, its arguments
    case 0x81: make_call(); break;               // NEWOBJ: a class, its arguments
    case 0x92: pop(), make_call(); break;        // NEWOBJ_EX: and named arguments, which nothing here has
    case 'b': set_state(pop()); break;           // BUILD
    case 'Q': make_persistent(pop()); break;     // BINPERSID
    default: return false;
  }
  return true;
}
// clang-format on

Pickle::Pickle(std::span<const std::byte> bytes, std::string where) {
  PickleMachine(*this, bytes, where).run();
}

const PickleNode* Pickle::find(const PickleNode& dict, std::string_view key) const {
  if (dict.kind != PickleKind::kDict && dict.kind != PickleKind::kCall) return nullptr;
  const PickleNode* found = nullptr;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2)
    if (const PickleNode& name = nodes_[dict.items[i]]; name.kind == PickleKind::kText && name.text == key)
      found = &nodes_[dict.items[i + 1]];
  return found;
}

}  // namespace vitrine
