#include "train/run/run_json.h"

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"

namespace vitrine {

void read_run_json(const std::filesystem::path& path, const std::string& what, const std::string& remedy,
                   const std::function<void(const JsonFields&)>& read) {
  const std::string bytes = read_file(path);
  try {
    const auto json = parse_json<nlohmann::ordered_json>(bytes);
    read(JsonFields(json, path.string()));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCorrupt) throw;
    throw Error(ErrorKind::kCorrupt,
                {.path = path.string(),
                 .what = text("is not a ", what, " of vitrine-train, or is damaged (", error.problem().what, ")"),
                 .remedy = remedy});
  }
}

std::vector<AllowedDifference> allowed_differences(const JsonFields& in) {
  std::vector<AllowedDifference> out;
  if (!in.has("allowed")) return out;
  for (const auto& entry : in.array("allowed")) {
    const JsonFields one(entry, in.where(), "allowed.");
    out.push_back({one.words("word"), one.words("difference")});
  }
  return out;
}

}  // namespace vitrine
