// The look of a page.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_STYLESHEET_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_STYLESHEET_H_

namespace vitrine {

/// CSS for screens from 400 pixels on, light and dark, and for paper. Without quotes that XML would need escaped.
extern const char* const kStylesheet;

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_STYLESHEET_H_
