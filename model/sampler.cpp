#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/philox.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

int32_t pick(std::vector<double> logits, const SamplingOptions& options, double uniform) {
  if (options.temperature == 0) return int32_t(std::ranges::max_element(logits) - logits.begin());
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  if (options.top_k > 0 && options.top_k < int64_t(order.size())) {
    std::ranges::partial_sort(order, order.begin() + options.top_k, [&](int32_t a, int32_t b) {
      return logits[size_t(a)] > logits[size_t(b)] || (logits[size_t(a)] == logits[size_t(b)] && a < b);
    });
    order.resize(size_t(options.top_k));
  }
  const double highest = std::ranges::max(logits);
  double sum = 0;
  for (int32_t id : order) sum += logits[size_t(id)] = std::exp((logits[size_t(id)] - highest) / options.temperature);
  double left = uniform * sum;
  for (int32_t id : order)
    if ((left -= logits[size_t(id)]) < 0) return id;
  return order.back();
}

void generate(Gpt& model, std::vector<int32_t> prompt, const SamplingOptions& options,
              const std::function<bool(int32_t id)>& add) {
  const size_t window = size_t(model.config().sequence_len);
  const Random random(options.seed, "sampling");
  for (int64_t i = 0; i < options.tokens; ++i) {
    const size_t length = std::min(prompt.size(), window);
    const Tensor ids = Tensor::integers(std::span(prompt).last(length), {1, int64_t(length)});
    const Tensor logits = model.logits(ids, {.training = false});
    std::vector<double> last(size_t(model.config().vocab_size));
    dispatch_wide("generate", logits, [&]<class W>(W, CpuQueue) {
      std::copy_n(logits.data<W>() + logits.size() - last.size(), last.size(), last.begin());
    });
    prompt.push_back(pick(std::move(last), options, random.uniform<double>(i)));
    if (!add(prompt.back())) return;
  }
}

}  // namespace kappa
