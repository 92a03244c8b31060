#pragma once
// A folder with a small text and the configuration of a small model, for tests of `kappa train` as its users meet it.

#include <fmt/format.h>

#include "tests/support/shell.h"

namespace kappa::test {

class TrainingDesk : public Shell {
 public:
  /// `train`: further keys of that section; `sections`: further lines of the configuration.
  explicit TrainingDesk(std::string_view train, std::string_view sections = "") {
    std::string text;
    for (int i = 0; i < 30; ++i) text += fmt::format("{{\"text\": \"the miller and the fox went {} times to the river\"}}\n", i);
    write("text.jsonl", text);
    write("tiny.yaml", fmt::format("model: {{vocab_size: 280, sequence_len: 16, n_layer: 2, n_head: 2, n_embd: 32, n_exp: 4, "
                                   "moe_start_layer: 1, use_kappa_swiglu: true}}\n"
                                   "train: {{device_batch_size: 4, total_batch_size: 64, {}}}\n"
                                   "data: {{path: {}, validation: 0.1}}\nrun: {{dir: {}}}\n{}",
                                   train, (*this / "text.jsonl").string(), folder().string(), sections));
  }
  std::filesystem::path folder() const { return *this / "run"; }
  Words train(const Words& more = {}) const { return with_more({"train", *this / "tiny.yaml"}, more); }
};

}  // namespace kappa::test
