#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

struct EmbeddingExtents {
  int64_t tokens, vocabulary, width;  // B·T, V, C
};

/// The index of the first of ids [tokens] that is outside of [0, V); `tokens` if all are inside.
int64_t first_id_outside(CpuQueue, EmbeddingExtents n, const int32_t* ids);

/// y [tokens, C] gets rows of weight [V, C].
template <class T>
void embedding_forward(CpuQueue, EmbeddingExtents n, const int32_t* ids, const T* weight, T* y);

/// dweight [V, C] gets the rows of dy [tokens, C], added where their ids say.
template <class T>
void embedding_backward(CpuQueue, EmbeddingExtents n, const int32_t* ids, const T* dy, GradOut<Wide<T>> dweight);

}  // namespace kappa
