#include <cstdlib>

#include "engine/core/error.h"
#include "tests/fuzz/targets.h"
#include "train/config.h"

namespace kappa::test {

/// A configuration is refused in one line, or is whole: written and read again, it is the same.
void fuzz_config(const std::string& bytes) {
  RunConfig config;
  try {
    config = parse_run_config(bytes, "fuzz.yaml");
  } catch (const InputError& e) {
    const std::string message = e.what();
    if (message.find('\n') != std::string::npos || message.size() > 1000) std::abort();
    return;
  }
  if (!differences(config, parse_run_config(to_yaml(config), "again.yaml")).empty()) std::abort();
}

std::vector<std::string> config_seeds() {
  return {"model:\n  depth: 12\n  n_exp: 8\n  use_kappa_swiglu: true\n  constant_kappa_dense_layers: true\ntrain: {seed: 24}\n",
          "device: emulated\nthreads: 2\nmodel: {n_layer: 2, n_head: 4, n_kv_head: 2, n_embd: 64, window_pattern: SL,\n"
          "  loss_chunk_tokens: auto}\ncheckpoint:\n  milestones: [1, 20]\ndata:\n  path: \"a \\\"b\\\\ \\x41\"\n  tokenizer: "
          "'it''s'\n"};
}

}  // namespace kappa::test
