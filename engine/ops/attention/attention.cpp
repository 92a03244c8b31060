#include "engine/ops/attention/attention.h"

#include <optional>

#include "engine/autograd/tape.h"
#include "engine/ops/attention/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static constexpr const char* op = "attention";

/// Which axes of k and v have tokens and heads.
struct KeyAxes {
  int tokens, heads;
  const char* words;
};
static constexpr KeyAxes plain{1, 2, "[batch, keys, kv heads, head size]"}, in_cache{2, 1, "[batch, kv heads, room, head size]"};

/// `cached`: how many keys count, where not all do.
static AttentionExtents check(const AttentionInputs& in, const KeyAxes& axes, std::optional<int64_t> cached = {}) {
  const Shape &q = in.q.shape(), &k = in.k.shape();
  const DType dtype = in.q.dtype();
  const Device device = in.q.device();
  require(q.rank() == 4 && q[3] >= 1, "{}: q must be [batch, queries, heads, head size], found {}", op, q);
  require(k.rank() == 4, "{}: k must be {}, found {}", op, axes.words, k);
  expect(op, "k", in.k, {q[0], k[1], k[2], q[3]}, dtype, device);
  expect(op, "v", in.v, k, dtype, device);
  const int64_t keys = cached.value_or(k[axes.tokens]), kv_heads = k[axes.heads];
  require(keys <= k[axes.tokens], "{}: k must have {} keys, found {}", op, keys, k);
  require(keys >= q[1], "{}: k must have a key for each of {} queries, found {} in {}", op, q[1], keys, k);
  require(kv_heads >= 1 && q[2] % kv_heads == 0, "{}: {} query heads cannot share {} kv heads evenly", op, q[2], kv_heads);
  require(in.window >= 0, "{}: the window must not be negative, found {}", op, in.window);
  const auto stride = [&](int axis) { return axis == 1 ? k[2] * k[3] : k[3]; };
  return {.batch = q[0],
          .queries = q[1],
          .keys = keys,
          .heads = q[2],
          .kv_heads = kv_heads,
          .head_size = q[3],
          .window = in.window,
          .key_strides = {.row = k[1] * k[2] * k[3], .token = stride(axes.tokens), .head = stride(axes.heads)}};
}

template <class T>
static AttentionValues<T> values_of(const AttentionExtents& n, const AttentionInputs& in) {
  return {.n = n, .q = in.q.data<T>(), .k = in.k.data<T>(), .v = in.v.data<T>()};
}

Tensor attention(const AttentionInputs& in) {
  const AttentionExtents n = check(in, plain);
  const DType dtype = in.q.dtype();
  const Device device = in.q.device();
  Tensor out = Tape::output({in.q, in.k, in.v}, in.q.shape(), dtype, device);
  const Tensor lse = Tensor::empty({n.batch, n.heads, n.queries}, wide(dtype), device);
  dispatch(op, dtype, device, [&]<class T>(T, CpuQueue queue) {
    attention_forward(queue, values_of<T>(n, in), out.data<T>(), lse.data<Wide<T>>());
  });

  Tape::record(op, {out}, [n, in, dtype, device, out = out.detach(), lse, dout = out.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, CpuQueue queue) {
      const AttentionGradients<T> gradients{.out = out.data<T>(),
                                            .lse = lse.data<Wide<T>>(),
                                            .dout = read<T>(dout),
                                            .q = contribute<T>(in.q),
                                            .k = contribute<T>(in.k),
                                            .v = contribute<T>(in.v)};
      attention_backward(queue, values_of<T>(n, in), gradients);
    });
  });
  return out;
}

Tensor cached_attention(const AttentionInputs& in, int64_t keys) {
  const AttentionExtents n = check(in, in_cache, keys);
  const DType dtype = in.q.dtype();
  const Device device = in.q.device();
  const Tensor out = Tensor::empty(in.q.shape(), dtype, device);
  dispatch(op, dtype, device, [&]<class T>(T, CpuQueue queue) {
    if (n.queries == 1) return attention_decode(queue, values_of<T>(n, in), out.data<T>());
    const Tensor lse = Tensor::empty({n.batch, n.heads, n.queries}, wide(dtype), device);
    attention_forward(queue, values_of<T>(n, in), out.data<T>(), lse.data<Wide<T>>());
  });
  return out;
}

}  // namespace kappa
