#include "tests/support/op_case.h"

namespace kappa::test {

static std::vector<OpCase>& cases() {
  static std::vector<OpCase> all;
  return all;
}

Case::Case(OpCase c) { cases().push_back(std::move(c)); }

const std::vector<OpCase>& all_cases() { return cases(); }

}  // namespace kappa::test
