#pragma once
// Which of a library's algorithms computes which product. Measured once a shape and kept: a product whose algorithm changes
// between runs changes bits. A run can store its plans and a resumed one begin with them.
//
// As text: a first line that names library and GPU, then a line a shape, `SHAPE HEX`, in the order of the shapes:
//
//     cuBLASLt 130100 on NVIDIA H100 80GB HBM3
//     bfloat16,bfloat16 m=2048 n=3072 k=768 batch=64 a=n b=n beta=0 aligned=1 0300…

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/core/element.h"
#include "engine/device/gemm.h"

namespace kappa {

class GemmPlans {
 public:
  /// What the library calls an algorithm: bytes that mean something to that version of it alone.
  using Algorithm = std::array<uint64_t, 8>;

  static std::string key(DType in, DType out, const GemmShape& shape, bool add, bool aligned);

  std::optional<Algorithm> find(const std::string& key) const;
  void set(const std::string& key, const Algorithm& algorithm) { plans_[key] = algorithm; }
  size_t size() const { return plans_.size(); }

  std::string text(std::string_view library) const;
  /// Takes over the plans in `text`, unless they are another library's or another GPU's: then none, and false. Throws InputError
  /// that names `file` and the line if it is not such a text.
  bool load(std::string_view text, std::string_view library, std::string_view file);

 private:
  std::map<std::string, Algorithm> plans_;
};

/// The plans of this program's products on the GPU, as text, and back.
std::string gemm_plans_of_gpu();
bool load_gemm_plans_of_gpu(std::string_view text, std::string_view file);

}  // namespace kappa
