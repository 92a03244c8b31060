#include "engine/ops/rotary/rotary.h"

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/ops/rotary/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static constexpr const char* op = "rotary";

RotaryTables rotary_tables(int64_t positions, int64_t head_size, DType compute, Device device) {
  require(positions >= 1, "rotary_tables: positions must be at least 1, found {}", positions);
  require(head_size >= 2 && head_size % 2 == 0, "rotary_tables: the head size must be even, found {}", head_size);
  const int64_t half = head_size / 2, n = positions * half;
  const DType dtype = wide(compute);
  PersistentSlab slab(2 * PersistentSlab::footprint(n * size_of(dtype)), device);
  const auto table = [&] { return Tensor::over(slab.take(n * size_of(dtype)), {positions, half}, dtype, device); };
  RotaryTables tables{.cos = table(), .sin = table()};
  dispatch("rotary_tables", dtype, device, [&]<class W>(W, CpuQueue) {
    for (int64_t j = 0; j < half; ++j) {
      const float frequency = 1.0f / std::pow(10000.0f, float(2 * j) / float(head_size));
      for (int64_t t = 0; t < positions; ++t) {
        const float angle = float(t) * frequency;
        tables.cos.data<W>()[t * half + j] = float(bfloat16(std::cos(angle)));
        tables.sin.data<W>()[t * half + j] = float(bfloat16(std::sin(angle)));
      }
    }
  });
  return tables;
}

Tensor rotary(const Tensor& x, const RotaryTables& tables, int64_t offset) {
  const Shape& shape = x.shape();
  require(shape.rank() == 4 && shape[3] % 2 == 0, "{}: x must be [batch, tokens, heads, an even head size], found {}", op, shape);
  const RotaryExtents n{.batch = shape[0], .tokens = shape[1], .heads = shape[2], .half = shape[3] / 2};
  const int64_t positions = tables.cos.dim(0);
  expect(op, "tables.cos", tables.cos, {positions, n.half}, wide(x.dtype()), x.device());
  expect(op, "tables.sin", tables.sin, {positions, n.half}, wide(x.dtype()), x.device());
  require(offset >= 0 && offset + n.tokens <= positions, "{}: the tables have positions 0..{}, wanted are {}..{}", op,
          positions - 1, offset, offset + n.tokens - 1);

  const auto turn = [n, tables, offset]<class T>(T, CpuQueue queue, const T* from, Rotation rotation, GradOut<T> to) {
    rotary_turn(queue, RotaryTurn<T>{.n = n,
                                     .x = from,
                                     .cos = tables.cos.data<Wide<T>>() + offset * n.half,
                                     .sin = tables.sin.data<Wide<T>>() + offset * n.half,
                                     .rotation = rotation,
                                     .y = to});
  };
  Tensor y = Tape::output({x}, shape, x.dtype(), x.device());
  dispatch(op, x.dtype(), x.device(),
           [&]<class T>(T type, CpuQueue queue) { turn(type, queue, x.data<T>(), Rotation::forward, GradOut<T>{y.data<T>()}); });

  Tape::record(op, {y}, [turn, dtype = x.dtype(), device = x.device(), dx = x.gradient(), dy = y.gradient()] {
    dispatch(op, dtype, device,
             [&]<class T>(T type, CpuQueue queue) { turn(type, queue, read<T>(dy), Rotation::back, contribute<T>(dx)); });
  });
  return y;
}

}  // namespace kappa
