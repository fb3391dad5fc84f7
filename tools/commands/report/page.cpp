#include "tools/commands/report/page.h"

#include <algorithm>

#include "common/base/error.h"
#include "tools/commands/report/stylesheet.h"

namespace vitrine {
namespace {

std::string title_of(const std::vector<Run>& runs) {
  constexpr std::size_t kNamed = 4;
  std::string out;
  for (std::size_t i = 0; i < std::min(runs.size(), kNamed); ++i) out += (i == 0 ? "" : ", ") + runs[i].name;
  if (runs.size() > kNamed) out += text(" and ", runs.size() - kNamed, " more");
  return out;
}

std::string navigation(const std::vector<Section>& sections) {
  std::string out = "<nav aria-label=\"Contents\">";
  for (const Section& section : sections) out += "<a href=\"#" + section.id + "\">" + section.title + "</a> ";
  return out + "</nav>\n";
}

}  // namespace

std::string page_html(const std::vector<Run>& runs) {
  std::vector<Section> sections{result_section(runs),       curves_section(runs),   notes_section(runs),
                                classes_section(runs),      pictures_section(runs), cache_section(runs),
                                configuration_section(runs)};
  std::erase_if(sections, [](const Section& section) { return section.html.empty(); });
  const std::string title = escaped(title_of(runs));
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>" +
      title + "</title>\n<style>" + kStylesheet + "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>" + title +
      "</h1>\n" + lead_html(runs) + navigation(sections) + "</header>\n";
  for (const Section& section : sections)
    out += "<section id=\"" + section.id + "\">\n<h2>" + section.title + "</h2>\n" + section.html + "</section>\n";
  out += "<footer>";
  for (const Run& run : runs) out += "<div>" + escaped(run.name) + ": " + escaped(run.directory.string()) + "</div>";
  return out + "</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace vitrine
