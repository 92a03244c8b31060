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
}

/// Of targets that are in the host's memory.
static void check_values(const CrossEntropyInputs& in) {
  const int32_t* targets = in.targets.data<int32_t>();
  for (int64_t i = 0; i < in.targets.size(); ++i)
    require(targets[i] >= -1 && targets[i] < in.vocabulary, "{}: target {} of token {} is not in -1 … {}", op, targets[i], i,
            in.vocabulary - 1);
}

/// The tokens [begin, begin + count), whose logits exist at one time.
struct Chunk {
  int64_t begin, count;
};

/// Where the logits of a chunk are: those of the tokens from `first_kept` on stay until the way back, the others share the first
/// rows of the memory.
class ChunkedLogits {
 public:
  ChunkedLogits(const CrossEntropyInputs& in, bool keep_all)
      : tokens_(in.hidden.dim(0)),
        chunk_tokens_(in.chunk_tokens),
        chunks_((tokens_ + chunk_tokens_ - 1) / chunk_tokens_),
        first_kept_(keep_all || chunks_ == 0 ? 0 : (chunks_ - 1) * chunk_tokens_),
        values_(Tensor::empty({keep_all ? tokens_ : chunk_rows(), in.vocabulary}, wide(in.hidden.dtype()), in.hidden.device())) {}

  int64_t chunks() const { return chunks_; }
  int64_t chunk_rows() const { return std::min(chunk_tokens_, tokens_); }
  Chunk chunk(int64_t i) const { return {i * chunk_tokens_, std::min(chunk_tokens_, tokens_ - i * chunk_tokens_)}; }
  bool kept(Chunk chunk) const { return chunk.begin >= first_kept_; }
  template <class W>
  W* of(Chunk chunk) const {
    return values_.data<W>() + (kept(chunk) ? chunk.begin - first_kept_ : 0) * values_.dim(1);
  }

 private:
  int64_t tokens_, chunk_tokens_, chunks_, first_kept_;
  Tensor values_;
};

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
  const ChunkedLogits logits(in, losses.tracked() && !in.recompute);

  dispatch(op, dtype, device, [&]<class T>(T, CpuQueue queue) {
    using W = Wide<T>;
    check_values(in);
    for (int64_t i = 0; i < logits.chunks(); ++i) {
      const Chunk chunk = logits.chunk(i);
      W* const y = logits.of<W>(chunk);
      capped_logits<T>(queue, in, chunk, y);
      softmax_losses(
          queue,
          LogitRows<W>{chunk.count, vocabulary, y, in.targets.data<int32_t>() + chunk.begin, log_sums.data<W>() + chunk.begin},
          losses.data<W>() + chunk.begin);
    }
  });

  // The last chunk's logits are still there: from it on backwards.
  Tape::record(op, {losses}, [in, log_sums, logits, dlosses = losses.gradient()] {
    const DType type = in.hidden.dtype();
    const int64_t c = in.hidden.dim(1), v = in.vocabulary;
    const Tensor narrow = type == wide(type) ? Tensor() : Tensor::empty({logits.chunk_rows(), v}, type, in.hidden.device());
    dispatch(op, type, in.hidden.device(), [&]<class T>(T, CpuQueue queue) {
      using W = Wide<T>;
      const GradOut<T> dh = contribute<T>(in.hidden);
      const GradOut<W> dw = contribute<W>(in.weight);
      for (int64_t i = logits.chunks(); i-- > 0;) {
        const Chunk chunk = logits.chunk(i);
        W* const y = logits.of<W>(chunk);
        if (!logits.kept(chunk)) capped_logits<T>(queue, in, chunk, y);
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
      }
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
  dispatch("softcapped_logits", hidden.dtype(), hidden.device(), [&]<class T>(T, CpuQueue queue) {
    capped_logits<T>(queue, in, {0, tokens}, logits.data<Wide<T>>());
  });
  return logits;
}

}  // namespace kappa
