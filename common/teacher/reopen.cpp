#include "common/teacher/reopen.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/teacher/open_teacher.h"

namespace vitrine {
namespace {

// Whether one Teacher reproduces both. Attention heads are per track, and recoding does not concern the teacher.
bool alike(const TrackInfo& a, const TrackInfo& b) {
  return a.teacher == b.teacher && a.made_with == b.made_with;
}

bool joins(const ReopenedTeacher& teacher, const TrackInfo& track) {
  return std::ranges::all_of(teacher.tracks, [&](const TrackInfo* other) {
    if (!alike(*other, track) || other->name() == track.name()) return false;
    if (other->kind != track.kind) return true;
    return track.kind == "features" ? other->normalised == track.normalised
                                    : other->heads == track.heads && other->heads_mean == track.heads_mean &&
                                          other->rollout == track.rollout;
  });
}

}  // namespace

std::vector<ReopenedTeacher> reopen_teachers(const std::vector<TrackInfo>& tracks, const TeacherFiles& files,
                                             const std::string& device) {
  const std::string hash = teacher_sha256(files.weights, files.zero_shot);
  std::vector<ReopenedTeacher> teachers;
  for (const TrackInfo& track : tracks) {
    if (const std::string& made_with = track.teacher.weights_sha256; made_with != hash)
      fail(files.weights, ": has SHA-256 ", hash.substr(0, 8), "..., but ", track.directory(), " was made with ",
           made_with.substr(0, 8), "...; use those weights, or select the tracks of this teacher");
    auto teacher = std::ranges::find_if(teachers, [&](const ReopenedTeacher& t) { return joins(t, track); });
    if (teacher == teachers.end()) {
      teachers.push_back({teacher_options(track, files, device), {}, {}});
      teacher = teachers.end() - 1;
      teacher->taps.logits = false;
    }
    teacher->tracks.push_back(&track);
    if (track.kind == "logits") teacher->taps.logits = true;
    if (track.kind == "embedding") teacher->taps.embedding = true;
    if (track.kind == "features") {
      teacher->taps.features.push_back(track.block);
      teacher->taps.normalise = track.normalised;
    }
    if (track.kind == "attention") {
      teacher->taps.attention.push_back(track.block);
      teacher->taps.attention_heads = track.heads;
      teacher->taps.attention_mean = track.heads_mean;
      teacher->taps.attention_rollout = track.rollout;
    }
  }
  // Values are only computed, not stored; fp32 needs no calibration.
  for (ReopenedTeacher& teacher : teachers)
    teacher.taps.logits_encoding = teacher.taps.embedding_encoding = teacher.taps.features_encoding =
        teacher.taps.attention_encoding = "fp32";
  return teachers;
}

}  // namespace vitrine
