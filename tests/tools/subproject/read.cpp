#include <iostream>

#include "common/cache/cache.h"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) std::cout << vitrine::Cache(argv[i]).plan().hash() << '\n';
}
