#include "eval/sample_writer.h"

#include <utility>

#include "engine/core/error.h"

namespace kappa {

SampleWriter::SampleWriter(std::FILE* out, int64_t samples, const Tokenizer* tokenizer)
    : out_(out), tokenizer_(tokenizer), samples_(size_t(samples)) {}

void SampleWriter::add(int64_t sample, int32_t id) {
  Sample& s = samples_[size_t(sample)];
  s.waiting += tokenizer_ ? s.text.add(tokenizer_->token(id)) : fmt::format("{}{}", s.begun ? "," : "", id);
  s.begun = true;
  show();
}

void SampleWriter::end(int64_t sample) {
  Sample& s = samples_[size_t(sample)];
  if (s.ended) return;
  s.ended = true;
  s.waiting += s.text.finish() + "\n";
  show();
}

void SampleWriter::show() {
  while (shown_ < samples_.size()) {
    write(std::exchange(samples_[shown_].waiting, {}));
    if (!samples_[shown_].ended) break;
    if (++shown_ < samples_.size() && tokenizer_) write("---\n");
  }
}

void SampleWriter::write(const std::string& text) {
  if (text.empty()) return;
  std::fwrite(text.data(), 1, text.size(), out_);
  if (std::fflush(out_) != 0) throw RunError("standard output: cannot be written to");
}

}  // namespace kappa
