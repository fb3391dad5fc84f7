// How notes and progress appear on standard error.
#ifndef VITRINE_COMMON_BASE_SCREEN_H_
#define VITRINE_COMMON_BASE_SCREEN_H_

namespace vitrine {

enum class Screen {
  kText,   ///< lines for people
  kQuiet,  ///< warnings only: notes that begin with "warning: "
  /// One JSON object a line: {"type":"note","text":...} and {"type":"progress","what","done","total","unit",
  /// "per_second","seconds_left","status"}, with "finished":true and "seconds" at the end of a loop; and for what ends
  /// the program {"type":"error" or "stopped","program","exit_code","text"}, for an Error with
  /// "path","dataset","group", "what","remedy" as far as it has them.
  kJson
};

Screen chosen_screen();

/// For the whole process; kText until it is called. Call in main() before other threads start.
void choose_screen(Screen screen);

/// RAII: kQuiet while it lives. Only on the main thread, while no other thread prints.
class QuietScreen {
 public:
  QuietScreen();
  ~QuietScreen();
  QuietScreen(const QuietScreen&) = delete;
  QuietScreen& operator=(const QuietScreen&) = delete;

 private:
  Screen before_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_SCREEN_H_
