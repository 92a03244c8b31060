#pragma once

#include "engine/nn/parameter.h"
#include "engine/ops/matmul/matmul.h"

namespace kappa {

/// y = x·Wᵀ without a bias; W [out, in] is the parameter `SCOPE.weight`.
class Linear {
 public:
  struct Size {
    int64_t out, in;
  };
  Linear(const Scope& scope, Size size, Init init, bool in_moe_block)
      : weight_(scope.store().declare(
            {.name = scope.name("weight"), .shape = {size.out, size.in}, .init = init, .in_moe_block = in_moe_block})) {}

  Tensor operator()(const Tensor& x) const { return linear(x, weight_.value); }
  const Tensor& weight() const { return weight_.value; }

 private:
  const Parameter& weight_;
};

}  // namespace kappa
