#include "model/generator.h"

#include <algorithm>

#include "engine/core/philox.h"
#include "engine/tensor/dispatch.h"
#include "model/kv_cache.h"

namespace kappa {

static int64_t positions(const Gpt& model, std::span<const int32_t> prompt, const Generation& options) {
  const int64_t longest = model.config().longest_row(), length = int64_t(prompt.size());
  require(length >= 1, "the prompt has no tokens");
  require(options.samples >= 1 && options.max_tokens >= 1, "at least one sample of one token is expected, found {} of {}",
          options.samples, options.max_tokens);
  require(length <= longest && options.max_tokens <= longest - length,
          "a prompt of {} tokens and {} more are longer than the {} positions of the model, 10·model.sequence_len", length,
          options.max_tokens, longest);
  return length + options.max_tokens;
}

Generator::Generator(Gpt& model, std::span<const int32_t> prompt, Generation options)
    : model_(model),
      options_(std::move(options)),
      cache_(model.config(), options_.samples, positions(model, prompt, options_), model.store().compute_dtype()),
      column_(size_t(options_.samples)),
      added_(size_t(options_.samples)) {
  const int64_t length = int64_t(prompt.size());
  KvCache read(model.config(), 1, length, model.store().compute_dtype());
  logits_ = model.next_logits(Tensor::integers(prompt, {1, length}), {.training = false, .cache = &read});
  cache_.fill_rows(read);
}

bool Generator::next() {
  const bool all_ended = count_ > 0 && std::ranges::count(added_, ended) == options_.samples;
  if (count_ == options_.max_tokens || all_ended) return false;
  if (count_ > 0)
    logits_ = model_.next_logits(Tensor::integers(column_, {options_.samples, 1}), {.training = false, .cache = &cache_});
  draw();
  ++count_;
  for (size_t row = 0; row < column_.size(); ++row) {
    const bool stops = std::ranges::find(options_.stop, column_[row]) != options_.stop.end();
    if (added_[row] != ended) added_[row] = stops ? ended : column_[row];
  }
  return std::ranges::count(added_, ended) < options_.samples;
}

void Generator::draw() {
  const Random random(options_.seed, "sampling");
  const size_t vocabulary = size_t(model_.config().vocab_size);
  const size_t allowed = options_.vocabulary > 0 ? std::min(size_t(options_.vocabulary), vocabulary) : vocabulary;
  dispatch_wide("generate", logits_, [&]<class W>(W, CpuQueue) {
    for (size_t row = 0; row < column_.size(); ++row) {
      const size_t from = logits_.dim(0) == 1 ? 0 : row;
      column_[row] = pick(std::span<const W>(logits_.data<W>() + from * vocabulary, allowed), options_.sampling,
                          random.uniform<double>(count_ * options_.samples + int64_t(row)));
    }
  });
}

}  // namespace kappa
