#pragma once
// Generated tokens on their way to a file: one sample as it comes, the others in turn, each when those before it have ended.

#include <cstdio>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "data/utf8.h"

namespace kappa {

class SampleWriter {
 public:
  /// Writes text, or without a tokenizer ids: a sample a line, separated by commas. Several texts have "---" between them.
  SampleWriter(std::FILE* out, int64_t samples, const Tokenizer* tokenizer);

  void add(int64_t sample, int32_t id);
  /// Nothing more comes. May be called again.
  void end(int64_t sample);

 private:
  struct Sample {
    Utf8Stream text;
    std::string waiting;
    bool begun = false, ended = false;
  };
  void show();
  void write(const std::string& text);

  std::FILE* out_;
  const Tokenizer* tokenizer_;
  std::vector<Sample> samples_;
  size_t shown_ = 0;  // the sample that is written as it comes
};

}  // namespace kappa
