#include "engine/ops/embedding/embedding.h"

#include "engine/autograd/tape.h"
#include "engine/ops/embedding/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static constexpr const char* op = "embedding";

Tensor embedding(const Tensor& weight, const Tensor& ids) {
  require(weight.shape().rank() == 2, "{}: weight must be [vocabulary, channels], found {}", op, weight.shape());
  require(ids.shape().rank() == 2, "{}: ids must be [batch, tokens], found {}", op, ids.shape());
  const DType dtype = weight.dtype();
  const Device device = weight.device();
  expect(op, "ids", ids, ids.shape(), DType::i32, device);
  const EmbeddingExtents n{.tokens = ids.size(), .vocabulary = weight.dim(0), .width = weight.dim(1)};
  const int32_t* const id = ids.data<int32_t>();

  Tensor y = Tape::output({weight}, {ids.dim(0), ids.dim(1), n.width}, dtype, device);
  dispatch(op, dtype, device, [&]<class T>(T, CpuQueue queue) {
    if (const int64_t bad = first_id_outside(queue, n, id); bad < n.tokens)
      throw InputError(fmt::format("{}: id {} at [{}, {}] is outside of the vocabulary of {}", op, id[bad], bad / ids.dim(1),
                                   bad % ids.dim(1), n.vocabulary));
    embedding_forward(queue, n, id, weight.data<T>(), y.data<T>());
  });

  Tape::record(op, {y}, [n, ids, dtype, device, dweight = weight.gradient(), dy = y.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, CpuQueue queue) {
      embedding_backward<T>(queue, n, ids.data<int32_t>(), read<T>(dy), contribute<Wide<T>>(dweight));
    });
  });
  return y;
}

}  // namespace kappa
