#include "eval/bits_per_byte.h"

#include <cmath>
#include <limits>

#include "engine/tensor/dispatch.h"

namespace kappa {

HeldOutLoss held_out_loss(Gpt& model, const BatchSequence& batches, std::span<const int32_t> token_bytes,
                          const std::function<void(int64_t done, int64_t total)>& progress) {
  double nats = 0;
  int64_t bytes = 0, counted = 0;
  for (int64_t b = 0; b < batches.count; ++b) {
    const Batch batch = batches.next();
    const Shape shape{batch.rows, batch.length};
    const Tensor losses =
        model.token_losses(Tensor::integers(batch.inputs, shape), Tensor::integers(batch.targets, shape), {.training = false});
    dispatch_wide("held_out_loss", losses, [&]<class W>(W, CpuQueue) {
      for (size_t i = 0; i < batch.targets.size(); ++i) {
        const int32_t target = batch.targets[i], length = target < 0 ? 0 : token_bytes[size_t(target)];
        if (length == 0) continue;
        nats += double(losses.data<W>()[i]);
        bytes += length;
        ++counted;
      }
    });
    if (progress) progress(b + 1, batches.count);
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return {bytes ? nats / double(bytes) / std::log(2.0) : infinity, counted ? nats / double(counted) : infinity};
}

}  // namespace kappa
