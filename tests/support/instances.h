// What an error names as an instance of a key must work for that key.
#ifndef VITRINE_TESTS_SUPPORT_INSTANCES_H_
#define VITRINE_TESTS_SUPPORT_INSTANCES_H_

#include <algorithm>
#include <string>

#include "common/config/config.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

namespace vitrine::testing {

/// For each key of `Options` and values that are not TOML: the error's instance reads as a configuration.
template <class Options>
void check_instances() {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory / "c.toml";
  const auto load = [&](const std::string& line) {
    write_whole(file, line + "\n");
    Options options;
    load_config(file, {}, options);
  };
  Options options;
  const Fields fields = fields_of(options);
  for (const Field& field : fields.all())
    for (const std::string value : {"@", "\"@", "=", "[@", "@ \"", "'\"", "\\"}) {
      const std::string message = message_of([&] { load(field.key + " = " + value); });
      CAPTURE(message);
      const std::string words = "for instance ";
      REQUIRE(message.find(words) != std::string::npos);
      const std::string line = message.substr(message.find(words) + words.size());
      CHECK(line.starts_with(field.key));
      CHECK_NOTHROW(load(line));
    }
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_INSTANCES_H_
