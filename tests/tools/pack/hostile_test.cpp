// Packs that are damaged, truncated, foreign or made to do harm: one sentence each, and nothing under the final name.
#include <algorithm>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/cache/track.h"
#include "tests/support/message.h"
#include "tests/tools/pack/packed.h"
#include "tools/pack/tar.h"
#include "tools/pack/unpack.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

struct Hostile : PackedCache {
  std::vector<PackedFile> files = contents({"tiny.aaaaaaaa/logits"});
  PackManifest list = manifest_of(plan.hash(), files);
  std::string whole = [this] {
    pack(list, files, tar.string());
    return read_whole(tar);
  }();

  // Unpacks these bytes; the error's message. The target must not appear, nor anything outside the staging directory.
  std::string refused(const std::string& bytes, ErrorKind kind) const {
    const std::filesystem::path folder = root / "hostile", file = folder / "pack.tar";
    std::filesystem::remove_all(folder);
    write_whole(file, bytes);
    std::string message;
    try {
      unpack(file.string(), folder / "target");
    } catch (const Error& error) {
      message = error.what();
      CHECK(error.kind() == kind);
    }
    CHECK_FALSE(message.empty());
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      CHECK((name == "pack.tar" || name == std::string("target") + kUnpackingEnd));
    }
    return message;
  }
  // The pack with another list, whose check is right, and the same members.
  std::string with_list(const std::string& from, const std::string& to) const {
    std::string json = list.json();
    const std::size_t at = json.find(from);
    REQUIRE(at != std::string::npos);
    json.replace(at, from.size(), to);
    json = with_check(json.substr(0, json.rfind(",\n  \"check\"")) + "\n}\n");
    return tar_header("pack.json", json.size()) + json + std::string(tar_padding(json.size()), '\0') +
           whole.substr(list.head().size());
  }
  // The pack with another header of member `i`, whose checksum is right.
  std::string with_header(std::size_t i, const std::string& name, char type, const std::string& link = {}) const {
    std::string header = tar_header(name, list.files()[i].bytes);
    header[156] = type;
    header.replace(157, link.size(), link);
    header.replace(148, 8, "        ");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    char digits[8];
    std::snprintf(digits, sizeof digits, "%06o", sum);
    header.replace(148, 7, std::string(digits, 7));
    std::string bytes = whole;
    return bytes.replace(list.offset(i), header.size(), header);
  }
};

}  // namespace

TEST_CASE("paths that a cache does not have are never written") {
  const Hostile hostile;
  for (const char* path : {"../index.h5", "/index.h5", "/tmp/index.h5", "a/../../index.h5", "./index.h5", "index.h5/",
                           "recipes/../index.h5", "recipes", "recipes/x", ".hidden", "tiny.aaaaaaaa/../track.json",
                           "tiny.aaaaaaaa/.ssh/track.json", "tiny.aaaaaaaa/logits/deep/track.json", "tiny/track.json",
                           "tiny.aaaaaaaa/logits/authorized_keys", "", "pack.json", "a\\nb/index.h5"}) {
    CAPTURE(path);
    const std::string message = hostile.refused(
        hostile.with_list("\"path\": \"index.h5\"", text("\"path\": \"", path, "\"")), ErrorKind::kCorrupt);
    CHECK(has(message, "is not the path of a cache's file"));
    CHECK(message.find('\n') == std::string::npos);
  }
  CHECK(
      has(hostile.refused(hostile.with_list("\"path\": \"plan.json\"", "\"path\": \"index.h5\""), ErrorKind::kCorrupt),
          "\"index.h5\" is listed twice"));
}

TEST_CASE("members that are not what the list says are refused, whatever they are") {
  const Hostile hostile;
  const std::size_t plan = 2;
  REQUIRE(hostile.list.files()[plan].name == "plan.json");
  const std::string expected = "expected the file plan.json of ";
  const auto found = [&](const std::string& bytes) { return hostile.refused(bytes, ErrorKind::kCorrupt); };
  CHECK(has(found(hostile.with_header(plan, "plan.json", '2', "/etc/passwd")), expected));
  CHECK(has(found(hostile.with_header(plan, "plan.json", '2', "/etc/passwd")), "found a symbolic link plan.json"));
  CHECK(has(found(hostile.with_header(plan, "plan.json", '1', "index.h5")), "found a hard link plan.json"));
  CHECK(has(found(hostile.with_header(plan, "plan.json", '3')), "found a device plan.json"));
  CHECK(has(found(hostile.with_header(plan, "../plan.json", '0')), "found the file ../plan.json"));
  CHECK(has(found(hostile.with_header(plan, "/etc/cron.d/x\n", '0')), "found the file /etc/cron.d/x?"));
  CHECK(has(found(hostile.with_header(plan, "index.h5", '0')), "found the file index.h5"));

  // A size that lies, in the list or in the header.
  const FileRecord& file = hostile.list.files()[plan];
  const std::string record = text("\"plan.json\", \"bytes\": ", file.bytes);
  CHECK(has(found(hostile.with_list(record, text("\"plan.json\", \"bytes\": ", file.bytes + 1))), "expected the file"));
  CHECK(has(found(hostile.with_list(record, text("\"plan.json\", \"bytes\": ", file.bytes + 5000))), " of "));
  CHECK(
      has(found(hostile.with_list(record, "\"plan.json\", \"bytes\": 18446744073709551615")), "larger than any disk"));
  CHECK(has(found(hostile.with_list(record, "\"plan.json\", \"bytes\": -1")), "is not allowed"));
  std::string bytes = hostile.whole;
  bytes.replace(hostile.list.offset(plan), kTarBlock, tar_header("plan.json", file.bytes + 512));
  CHECK(has(found(bytes), text("found the file plan.json of ", file.bytes + 512, " bytes")));

  // A member that the list does not name.
  bytes = hostile.whole;
  bytes.replace(bytes.size() - kTarEndBytes, kTarBlock, tar_header("more", 0));
  CHECK(has(found(bytes), "found the file more, which its list does not name"));
  CHECK(has(found(hostile.whole + "x"), "but its list of files makes"));
}

TEST_CASE("any damaged bit and any truncation is one sentence") {
  const Hostile hostile;
  const std::uint64_t second = hostile.list.offset(1), size = hostile.whole.size();
  std::vector<std::uint64_t> places{0,
                                    130,
                                    300,
                                    511,
                                    kTarBlock,
                                    kTarBlock + 40,
                                    hostile.list.head().size() - 1,
                                    second,
                                    second + 124,
                                    second + kTarBlock,
                                    size - kTarEndBytes,
                                    size - 1};
  for (std::uint64_t i = 0; i < hostile.list.files().size(); i += 3) {
    places.push_back(hostile.list.offset(i) + kTarBlock + hostile.list.files()[i].bytes / 2);
    places.push_back(hostile.list.offset(i + 1) - 1);  // padding, or the last byte
  }
  for (const std::uint64_t place : places) {
    CAPTURE(place);
    std::string bytes = hostile.whole;
    bytes[place] ^= 1;
    const std::string message = hostile.refused(bytes, place < kTarBlock ? ErrorKind::kInput : ErrorKind::kCorrupt);
    CHECK(message.find('\n') == std::string::npos);
    if (place > kTarBlock) {
      CHECK(has(message, "; "));
    }
  }
  for (const std::uint64_t length : {std::uint64_t{1}, std::uint64_t{511}, std::uint64_t{kTarBlock} + 100, second + 1,
                                     size - kTarEndBytes, size - 1}) {
    CAPTURE(length);
    const std::string message =
        hostile.refused(hostile.whole.substr(0, length), length < kTarBlock ? ErrorKind::kInput : ErrorKind::kCorrupt);
    if (length > kTarBlock) CHECK(has(message, "the file is truncated; copy it again"));
  }
}

TEST_CASE("files that are not packs are refused by name") {
  const Hostile hostile;
  CHECK(has(hostile.refused("", ErrorKind::kInput), "is empty; expected a pack"));
  CHECK(has(hostile.refused(std::string(5000, 'x'), ErrorKind::kInput),
            "is not a pack: it does not begin with pack.json"));
  CHECK(has(hostile.refused(tar_header("pack.json", 1 << 20), ErrorKind::kCorrupt),
            "ends at byte 512, within pack.json"));
  const std::string json = "{\"format\": \"vitrine pack\", \"version\": 2}";
  const std::string newer = tar_header("pack.json", json.size()) + json + std::string(tar_padding(json.size()), '\0');
  CHECK(has(hostile.refused(newer, ErrorKind::kNewer), "use a newer vitrine"));
  // A list whose plan is another one's: found before the cache gets its name.
  std::string other = hostile.list.plan_hash();
  other[0] = other[0] == '0' ? '1' : '0';
  CHECK(has(hostile.refused(hostile.with_list(hostile.list.plan_hash(), other), ErrorKind::kCorrupt),
            "says that its plan is"));
}
