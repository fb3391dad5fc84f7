#include "common/models/precision.h"

int main() {}
