// Which processors run compiled code.
#include "common/models/processor.h"

#include <string>

#include "tests/support/testing.h"

using namespace vitrine;

namespace {

Processor server() {
  return {.machine = "x86_64", .capability = "AVX512", .instruction_sets = {"avx2", "avx512f", "avx512_bf16"}};
}

}  // namespace

TEST_CASE("compiled code runs on its own processor and on one that has more") {
  CHECK(unmet_needs(server(), server()).empty());
  Processor newer = server();
  newer.instruction_sets.push_back("amx_bf16");
  CHECK(unmet_needs(server(), newer).empty());
  Processor modest = server();
  modest.capability = "AVX2", modest.instruction_sets = {"avx2"};
  CHECK(unmet_needs(modest, server()).empty());
  CHECK(unmet_needs(this_processor(), this_processor()).empty());
}

TEST_CASE("what a processor lacks is named") {
  Processor here = server();
  here.instruction_sets = {"avx2"};
  CHECK(unmet_needs(server(), here) == "a processor with avx512f, avx512_bf16, which this one lacks");
  here = server();
  here.capability = "AVX2";
  CHECK(unmet_needs(server(), here).starts_with("AVX512, but this processor has AVX2"));
  here = server();
  here.machine = "aarch64";
  CHECK(unmet_needs(server(), here) == "x86_64, but this processor is aarch64");
}

TEST_CASE("levels that do not include each other run only their own code") {
  const Processor neon{.machine = "aarch64", .capability = "NEON", .instruction_sets = {}};
  const Processor sve{.machine = "aarch64", .capability = "SVE256", .instruction_sets = {}};
  CHECK(unmet_needs(sve, sve).empty());
  CHECK_FALSE(unmet_needs(sve, neon).empty());
  CHECK_FALSE(unmet_needs(neon, sve).empty());
}

TEST_CASE("this processor says what it is") {
  const Processor here = this_processor();
  CHECK_FALSE(here.machine.empty());
  CHECK_FALSE(here.capability.empty());
  CHECK_FALSE(here.instruction_sets.empty());
}
