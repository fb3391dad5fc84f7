#include "common/image/left_out.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <map>
#include <sstream>
#include <string_view>
#include <tuple>
#include <utility>

#include "common/base/error.h"
#include "common/base/file_lock.h"
#include "common/base/files.h"
#include "common/base/progress.h"

namespace vitrine {
namespace {

constexpr const char* kHeading = "kind\tpath\treason\n";

constexpr std::array<const char*, 17> kNames = {
    "damaged",     "not a picture", "sidecar",    "hidden",    "junk folder", "dangling link",
    "link loop",   "special file",  "unreadable", "too large", "bad name",    "outside classes",
    "empty class", "not in index",  "missing",    "changed",   "failed later"};
static_assert(kNames.size() == static_cast<std::size_t>(LeftOutKind::kFailedLater) + 1);

// What a field cannot hold, and the letter that stands for it after a backslash.
constexpr std::string_view kSpecial = "\t\n\r\\", kLetters = "tnr\\";

std::string one_field(std::string_view words) {
  std::string out;
  for (const char c : words)
    if (const std::size_t which = kSpecial.find(c); which == std::string_view::npos)
      out += c;
    else
      out += {'\\', kLetters[which]};
  return out;
}

std::string words_of_field(std::string_view field) {
  std::string out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const std::size_t which =
        field[i] == '\\' && i + 1 < field.size() ? kLetters.find(field[i + 1]) : std::string_view::npos;
    if (which == std::string_view::npos)
      out += field[i];
    else
      out += kSpecial[which], ++i;
  }
  return out;
}

std::string line_of(const LeftOut& entry) {
  return std::string(name_of(entry.kind)) + '\t' + one_field(entry.id) + '\t' + one_field(entry.reason) + '\n';
}

std::vector<LeftOut> parse(const std::string& bytes) {
  std::vector<LeftOut> list;
  std::istringstream lines(bytes);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t one = line.find('\t'), two = one == std::string::npos ? one : line.find('\t', one + 1);
    if (two == std::string::npos) continue;
    const auto kind = std::ranges::find(kNames, line.substr(0, one));
    if (kind == kNames.end()) continue;
    const std::string_view fields = line;
    list.push_back({words_of_field(fields.substr(one + 1, two - one - 1)), words_of_field(fields.substr(two + 1)),
                    static_cast<LeftOutKind>(kind - kNames.begin())});
  }
  return list;
}

auto place_of(const LeftOut& entry) {
  return std::tie(entry.kind, entry.id);
}

// The list, open and locked until destruction; created if missing. The previous holder of the lock may have replaced
// the file; the new one is then opened and locked instead.
class LockedList {
 public:
  explicit LockedList(const std::filesystem::path& path) : path_(path.string()), lock_(locked(path)) {}
  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(lock_.descriptor(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_system(errno, path_, "cannot be written", "make room on its disk and run again");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  struct stat status() const {
    struct stat out {};
    if (::fstat(lock_.descriptor(), &out) != 0) fail_system(errno, path_, "cannot be examined", "check its disk");
    return out;
  }
  // From there to the end of the last whole line.
  std::string lines_from(std::uint64_t place) const {
    std::string out(std::max<std::uint64_t>(static_cast<std::uint64_t>(status().st_size), place) - place, '\0');
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(lock_.descriptor(), out.data() + done, out.size() - done, static_cast<off_t>(place + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail_system(errno, path_, "cannot be read", "check its disk");
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    out.resize(done);
    out.resize(out.rfind('\n') + 1);  // npos + 1: nothing
    return out;
  }

 private:
  static FileLock locked(const std::filesystem::path& path) {
    if (path.has_parent_path()) make_directories(path.parent_path());
    for (;;) {
      FileLock lock = FileLock::on_file(path);
      lock.wait();  // on disks without locks, each append is still a single write
      if (lock.has_its_name()) return lock;
    }
  }

  std::string path_;
  FileLock lock_;
};

}  // namespace

const char* name_of(LeftOutKind kind) {
  return kNames.at(static_cast<std::size_t>(kind));
}

std::string counts_by_kind(std::span<const LeftOut> list) {
  std::map<LeftOutKind, std::uint64_t> counts;
  for (const LeftOut& entry : list) ++counts[entry.kind];
  std::string out;
  for (const auto& [kind, count] : counts) out += text(out.empty() ? "" : ", ", human_count(count), " ", name_of(kind));
  return out;
}

std::vector<LeftOut> read_left_out(const std::filesystem::path& path) {
  return path_exists(path) ? parse(read_file(path)) : std::vector<LeftOut>();
}

void write_left_out(const std::filesystem::path& path, std::vector<LeftOut> list,
                    const std::function<bool(const LeftOut&)>& keep) {
  if (list.empty() && !path_exists(path)) return;
  const LockedList lock(path);
  const std::string there = read_file(path);
  if (keep) std::ranges::copy_if(parse(there), std::back_inserter(list), keep);
  std::ranges::stable_sort(list, [](const LeftOut& a, const LeftOut& b) { return place_of(a) < place_of(b); });
  const auto is_same = [](const LeftOut& a, const LeftOut& b) { return place_of(a) == place_of(b); };
  const auto again = std::ranges::unique(list, is_same);
  list.erase(again.begin(), again.end());
  std::vector<std::string> lines, old;
  for (const LeftOut& entry : list) lines.push_back(line_of(entry));
  std::string bytes = kHeading;
  for (const std::string& line : lines) bytes += line;
  // Keep a file that has the same entries in another order.
  for (const LeftOut& entry : parse(there)) old.push_back(line_of(entry));
  std::ranges::sort(old);
  std::ranges::sort(lines);
  if (old == lines && !there.empty()) return;
  publish(path, bytes);
}

void add_left_out(const std::filesystem::path& path, std::span<const LeftOut> list) {
  LeftOutAppender(path).add(list);
}

void LeftOutAppender::add(std::span<const LeftOut> list) {
  if (list.empty()) return;
  const LockedList file(path_);
  const struct stat status = file.status();
  const std::pair<std::uint64_t, std::uint64_t> identity{status.st_dev, status.st_ino};
  if (identity != file_ || static_cast<std::uint64_t>(status.st_size) < read_) {
    file_ = identity;
    read_ = 0;
    there_.clear();
  }
  const std::string lines = file.lines_from(read_);
  read_ += lines.size();  // not what is written below: others may write before it, on disks without locks
  for (LeftOut& entry : parse(lines)) there_.emplace(entry.kind, std::move(entry.id));
  const bool torn = static_cast<std::uint64_t>(status.st_size) > read_;  // ends in a part of a line
  std::string bytes;
  for (const LeftOut& entry : list)
    if (there_.emplace(entry.kind, entry.id).second) bytes += line_of(entry);
  if (!bytes.empty()) file.write((status.st_size == 0 ? kHeading : torn ? "\n" : "") + bytes);
}

}  // namespace vitrine
