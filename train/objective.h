#pragma once
// What training minimises: the next token's loss and what is added to it (spec: training §12.7).
//
//     loss = ntp + w_z·router_z + w_aux·aux + w_κ·(bias_l2 + bias_floor) + w_κs·(scale_l2 + scale_floor)

#include <array>

#include "model/gpt.h"

namespace kappa {

struct LossWeights {
  double router_z = 0, aux = 0;
  double kappa_bias = 0, kappa_scale = 0;  // of the L2 terms and of the floors alike
};

/// One term with its name in reports and its weight.
struct NamedTerm {
  const char* name;
  Tensor value;  // [1] wide; none where nothing adds to it
  double weight;
};
std::array<NamedTerm, 7> named_terms(const LossTerms& terms, const LossWeights& weights);

/// factor·loss, [1] wide.
Tensor objective(const LossTerms& terms, const LossWeights& weights, double factor = 1);

}  // namespace kappa
