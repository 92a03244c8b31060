#include "engine/ops/cross_entropy/cross_entropy.h"

#include "engine/autograd/tape.h"
#include "engine/device/gemm.h"
#include "engine/ops/cross_entropy/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static constexpr const char* op = "softcapped_cross_entropy";

static void check(const CrossEntropyInputs& in) {
  const Tensor& h = in.hidden;
  require(h.shape().rank() == 2, "{}: hidden must be [tokens, channels], found {}", op, h.shape());
  require(in.weight.shape().rank() == 2 && in.weight.dim(0) >= in.vocabulary, "{}: weight must be [at least {}, {}], found {}",
          op, in.vocabulary, h.dim(1), in.weight.shape());
  expect(op, "weight", in.weight, {in.weight.dim(0), h.dim(1)}, h.dtype(), h.device());
  expect(op, "targets", in.targets, {h.dim(0)}, DType::i32, h.device());
  require(in.chunk_tokens > 0, "{}: chunk_tokens must be positive, found {}", op, in.chunk_tokens);
  const int32_t* targets = in.targets.data<int32_t>();
  for (int64_t i = 0; i < h.dim(0); ++i)
    require(targets[i] >= -1 && targets[i] < in.vocabulary, "{}: target {} of token {} is not in -1 … {}", op, targets[i], i,
            in.vocabulary - 1);
}

/// The tokens [begin, begin + count), whose logits exist at one time.
struct Chunk {
  int64_t begin, count;
};
template <class Body>
static void for_chunks(const CrossEntropyInputs& in, Body body) {
  for (int64_t begin = 0; begin < in.hidden.dim(0); begin += in.chunk_tokens)
    body(Chunk{begin, std::min(in.chunk_tokens, in.hidden.dim(0) - begin)});
}

template <class T, class Queue>
static void capped_logits(Queue queue, const CrossEntropyInputs& in, Chunk chunk, Wide<T>* logits) {
  const int64_t channels = in.hidden.dim(1);
  gemm(queue, {.m = chunk.count, .n = in.vocabulary, .k = channels, .transpose_b = true},
       in.hidden.data<T>() + chunk.begin * channels, in.weight.data<T>(), GradOut<Wide<T>>{logits});
  softcap(queue, chunk.count * in.vocabulary, logits);
}

Tensor softcapped_cross_entropy(const CrossEntropyInputs& in) {
  check(in);
  const DType dtype = in.hidden.dtype();
  const Device device = in.hidden.device();
  const int64_t tokens = in.hidden.dim(0), vocabulary = in.vocabulary;
  const Tensor losses = Tape::output({in.hidden, in.weight}, {tokens}, wide(dtype), device);
  const Tensor log_sums = Tensor::empty({tokens}, wide(dtype), device);
  const bool keep = losses.tracked() && !in.recompute;
  const int64_t chunk_rows = std::min(in.chunk_tokens, tokens);
  const Tensor logits = Tensor::empty({keep ? tokens : chunk_rows, vocabulary}, wide(dtype), device);

  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    using W = Wide<T>;
    for_chunks(in, [&](Chunk chunk) {
      W* const y = logits.data<W>() + (keep ? chunk.begin * vocabulary : 0);
      capped_logits<T>(queue, in, chunk, y);
      softmax_losses(
          queue,
          LogitRows<W>{chunk.count, vocabulary, y, in.targets.data<int32_t>() + chunk.begin, log_sums.data<W>() + chunk.begin},
          losses.data<W>() + chunk.begin);
    });
  });

  Tape::record(op, {losses}, [in, log_sums, kept = keep ? logits : Tensor(), dlosses = losses.gradient()] {
    const DType type = in.hidden.dtype();
    const int64_t c = in.hidden.dim(1), v = in.vocabulary, rows = std::min(in.chunk_tokens, in.hidden.dim(0));
    const Tensor again = kept ? Tensor() : Tensor::empty({rows, v}, wide(type), in.hidden.device());
    const Tensor narrow = type == wide(type) ? Tensor() : Tensor::empty({rows, v}, type, in.hidden.device());
    dispatch(op, type, in.hidden.device(), [&]<class T>(T, auto queue) {
      using W = Wide<T>;
      const GradOut<T> dh = contribute<T>(in.hidden);
      const GradOut<W> dw = contribute<W>(in.weight);
      for_chunks(in, [&](Chunk chunk) {
        W* const y = kept ? kept.data<W>() + chunk.begin * v : again.data<W>();
        if (!kept) capped_logits<T>(queue, in, chunk, y);
        T* dz;
        if constexpr (std::is_same_v<T, W>)
          dz = y;
        else
          dz = narrow.data<T>();
        const LogitRows<W> logit_rows{chunk.count, v, y, in.targets.data<int32_t>() + chunk.begin,
                                      log_sums.data<W>() + chunk.begin};
        softmax_gradients<T>(queue, logit_rows, read<W>(dlosses) + chunk.begin, dz);
        const T* const h = in.hidden.data<T>() + chunk.begin * c;
        gemm(queue, {.m = chunk.count, .n = c, .k = v}, dz, in.weight.data<T>(),
             GradOut<T>{dh ? dh.data + chunk.begin * c : nullptr, dh.add});
        gemm(queue, {.m = v, .n = c, .k = chunk.count, .transpose_a = true}, dz, h, dw);
      });
    });
  });
  return losses;
}

Tensor softcapped_logits(const Tensor& hidden, const Tensor& weight, int64_t vocabulary) {
  const int64_t tokens = hidden.dim(0);
  const Tensor targets = Tensor::zeros({tokens}, DType::i32, hidden.device());
  const CrossEntropyInputs in{.hidden = hidden,
                              .weight = weight,
                              .targets = targets,
                              .vocabulary = vocabulary,
                              .chunk_tokens = std::max<int64_t>(tokens, 1)};
  check(in);
  const Tensor logits = Tensor::empty({tokens, vocabulary}, wide(hidden.dtype()), hidden.device());
  dispatch("softcapped_logits", hidden.dtype(), hidden.device(), [&]<class T>(T, auto queue) {
    capped_logits<T>(queue, in, {0, tokens}, logits.data<Wide<T>>());
  });
  return logits;
}

}  // namespace kappa
