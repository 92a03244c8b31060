#pragma once
// `kappa doctor`: from what this machine has to what will run on it, and to what one could do about the rest.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/cli/build.h"
#include "train/cli/machine.h"

namespace kappa {

/// Something that one wants to do. Where it does not work, `why` says what is in the way.
struct Ability {
  std::string what;
  bool works;
  std::string why;
};

/// Something that is missing or held back, and the way to it.
struct Advice {
  std::string missing, what_to_do;
};

struct Diagnosis {
  std::vector<Ability> abilities;
  std::vector<Advice> advice;
};
Diagnosis diagnose(const Machine& machine, const Build& build);

/// Everything that the doctor has to say. The rates are those of `threads` threads.
struct Examination {
  Machine machine;
  Build build;
  double product_rate, copy_rate;  // FLOP/s and bytes/s, measured
  int threads;
};
/// For people.
std::string to_text(const Examination& examination);
/// For programs, with the same content.
nlohmann::ordered_json to_json(const Examination& examination);

}  // namespace kappa
