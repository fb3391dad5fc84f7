#include "common/teacher/reopen.h"

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "common/base/error.h"
#include "common/base/hash.h"

namespace vitrine {
namespace {

struct Size {
  const char* name;
  int VitOptions::*field;
};
constexpr Size kSizes[] = {
    {"image_size", &VitOptions::image_size}, {"patch", &VitOptions::patch}, {"dim", &VitOptions::dim},
    {"depth", &VitOptions::depth},           {"heads", &VitOptions::heads}, {"classes", &VitOptions::classes},
    {"mlp_ratio", &VitOptions::mlp_ratio}};

[[noreturn]] void not_told(const TrackInfo& track, const char* key) {
  fail(track.directory(), ": its provenance does not say ", key,
       " in words that this program knows, so that its teacher cannot be run again; the version of vitrine that made "
       "the cache can");
}

const std::string& told(const TrackInfo& track, const char* key) {
  const auto found = track.provenance.find(key);
  if (found == track.provenance.end()) not_told(track, key);
  return found->second;
}

template <class Number>
std::vector<Number> numbers(const TrackInfo& track, const char* key, const std::string& words) {
  std::vector<Number> out;
  std::istringstream in(words);
  for (std::string word; in >> word;) {
    Number number{};
    const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (failure != std::errc() || end != word.data() + word.size()) not_told(track, key);
    out.push_back(number);
  }
  return out;
}

VitOptions vit_of(const TrackInfo& track) {
  VitOptions vit;
  vit.arch = "";
  std::istringstream in(told(track, "vit"));
  std::size_t found = 0;
  for (std::string name, value; in >> name >> value;) {
    if (value.ends_with(',')) value.pop_back();
    const auto size = std::ranges::find_if(kSizes, [&](const Size& s) { return name == s.name; });
    const std::vector<int> number = numbers<int>(track, "vit", value);
    if (size == std::end(kSizes) || number.size() != 1) not_told(track, "vit");
    vit.*size->field = number[0];
    ++found;
  }
  if (found != std::size(kSizes)) not_told(track, "vit");
  return vit;
}

TeacherOptions teacher_of(const TrackInfo& track, const std::string& weights, const std::string& device) {
  TeacherOptions options;
  options.name = track.teacher;
  options.weights = weights;
  options.vit = vit_of(track);
  options.precision = told(track, "arithmetic");
  options.device = device.empty() ? told(track, "device") : device;
  const auto micro_batch = numbers<std::uint32_t>(track, "micro_batch", told(track, "micro_batch"));
  if (micro_batch.size() != 1 || micro_batch[0] == 0) not_told(track, "micro_batch");
  options.micro_batch = micro_batch[0];
  options.mean = numbers<double>(track, "mean", told(track, "mean"));
  options.deviation = numbers<double>(track, "deviation", told(track, "deviation"));
  return options;
}

// "all", "0 2", "mean of all": the heads that an attention track keeps.
void take_heads(const TrackInfo& track, TapOptions& taps) {
  std::string words = told(track, "heads");
  const std::string mean = "mean of ";
  taps.attention_mean = words.starts_with(mean);
  if (taps.attention_mean) words.erase(0, mean.size());
  taps.attention_heads = words == "all" ? std::vector<int>{} : numbers<int>(track, "heads", words);
}

bool alike(const TrackInfo& a, const TrackInfo& b) {
  // Heads are an attention track's own; how a track was recoded says nothing of its teacher.
  const auto same = [&](const char* key) {
    const auto x = a.provenance.find(key), y = b.provenance.find(key);
    return (x == a.provenance.end()) == (y == b.provenance.end()) &&
           (x == a.provenance.end() || x->second == y->second);
  };
  return a.teacher == b.teacher && a.weights_sha256 == b.weights_sha256 &&
         std::ranges::all_of(
             std::initializer_list<const char*>{"vit", "arithmetic", "device", "micro_batch", "mean", "deviation"},
             same);
}

bool joins(const ReopenedTeacher& teacher, const TrackInfo& track) {
  return std::ranges::all_of(teacher.tracks, [&](const TrackInfo* other) {
    if (!alike(*other, track) || other->name() == track.name()) return false;
    if (other->kind != track.kind) return true;
    return track.kind == "features" ? other->normalised == track.normalised
                                    : told(*other, "heads") == told(track, "heads");
  });
}

}  // namespace

std::string colour_words(const std::vector<double>& colours) {
  std::string out;
  for (const double colour : colours) {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), colour).ptr;
    if (!out.empty()) out += ' ';
    out.append(digits.data(), end);
  }
  return out;
}

std::string vit_words(const VitOptions& options) {
  std::string words;
  for (const Size& size : kSizes) words += text(words.empty() ? "" : ", ", size.name, ' ', options.*size.field);
  return words;
}

std::vector<ReopenedTeacher> reopen_teachers(const std::vector<TrackInfo>& tracks, const std::string& weights,
                                             const std::string& device) {
  const std::string hash = sha256_hex_of_file(weights);
  std::vector<ReopenedTeacher> teachers;
  for (const TrackInfo& track : tracks) {
    if (track.weights_sha256 != hash)
      fail(weights, ": has SHA-256 ", hash.substr(0, 8), "..., but ", track.directory(), " was made with ",
           track.weights_sha256.substr(0, 8), "...; give those weights, or name the tracks of this teacher");
    auto teacher = std::ranges::find_if(teachers, [&](const ReopenedTeacher& t) { return joins(t, track); });
    if (teacher == teachers.end()) {
      teachers.push_back({teacher_of(track, weights, device), {}, {}});
      teacher = teachers.end() - 1;
      teacher->taps.logits = false;
    }
    teacher->tracks.push_back(&track);
    if (track.kind == "logits") teacher->taps.logits = true;
    if (track.kind == "features") {
      teacher->taps.features.push_back(track.block);
      teacher->taps.normalise = track.normalised;
    }
    if (track.kind == "attention") {
      teacher->taps.attention.push_back(track.block);
      take_heads(track, teacher->taps);
    }
  }
  // The default forms are for taking values, not for keeping them.
  for (ReopenedTeacher& teacher : teachers)
    teacher.taps.logits_form = teacher.taps.features_form = teacher.taps.attention_form = "fp32";
  return teachers;
}

}  // namespace vitrine
