// Files of a training run: any bytes give a value or an Error, and a value that was read is written and read again as
// the same.
#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "common/base/error.h"
#include "tests/faults/shards.h"
#include "tests/fuzz/cases.h"
#include "tests/fuzz/target.h"
#include "train/run/checkpoint.h"
#include "train/run/run_log.h"
#include "train/run/run_result.h"
#include "common/models/weights/weights_record.h"

namespace {

using namespace vitrine;
using namespace vitrine::testing;

// Reads the text, writes what it says and reads that, and writes it again: the same text.
template <class Read, class Write>
void read_and_write(const char* name, OneFile& file, const std::string& text, const Read& read, const Write& write) {
  static const TemporaryDirectory directory;
  const auto value = read(file.hold(text));
  expect(value.has_value());
  write(directory.path(), *value);
  const std::string once = read_whole(directory / name);
  write(directory.path(), *read(directory.path()));
  expect(read_whole(directory / name) == once);
}

void read_checkpoint_text(const std::string& text) {
  static OneFile file("checkpoints/last.json");
  read_and_write("checkpoints/last.json", file, text, read_checkpoint, update_checkpoint);
}

void read_summary_text(const std::string& text) {
  static OneFile file("summary.json");
  read_and_write("summary.json", file, text, read_summary, write_summary);
}

void read_weights_record(const std::string& text) {
  std::map<std::string, std::string> metadata;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.find(' ');
    if (space != std::string::npos) metadata["vitrine." + line.substr(0, space)] = line.substr(space + 1);
  }
  const std::optional<WeightsRecord> record = WeightsRecord::parse(metadata, "weights");
  if (!record) return;
  const auto once = record->metadata();
  const std::optional<WeightsRecord> back = WeightsRecord::parse(once, "weights");
  expect(back && back->metadata() == once);
}

// A continued log has only whole lines, so continuing it again changes nothing.
void go_on_with_log(const std::string& text, std::uint64_t steps) {
  static const TemporaryDirectory directory;
  const RunFiles files(directory.path());
  write_whole(files.metrics(), text);
  { const RunLog log(directory.path(), {.step = steps}); }
  const std::string once = read_whole(files.metrics()), table = read_whole(files.metrics_table());
  { const RunLog log(directory.path(), {.step = steps}); }
  expect(read_whole(files.metrics()) == once && read_whole(files.metrics_table()) == table);
  expect(std::ranges::count(table, '\n') <= std::ranges::count(once, '\n') + 1);
  std::filesystem::remove_all(files.events());
}

}  // namespace

FUZZ_TARGET(run_files) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto chosen = static_cast<RunFileCase>(take_byte(rest) % kRunFileCases);
  try {
    switch (chosen) {
      case RunFileCase::kCheckpoint:
        read_checkpoint_text(std::string(rest));
        break;
      case RunFileCase::kSummary:
        read_summary_text(std::string(rest));
        break;
      case RunFileCase::kWeights:
        read_weights_record(std::string(rest));
        break;
      case RunFileCase::kLog: {
        const std::uint64_t steps = take_byte(rest);
        go_on_with_log(std::string(rest), steps);
        break;
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
