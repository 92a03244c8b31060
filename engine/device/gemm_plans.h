#pragma once
// Which of a library's algorithms computes which product. Measured once a shape and kept: a product whose algorithm changes
// between runs changes bits. So a run keeps its plans in a file, and begins with them when it is resumed.
//
// As text: a first line that names library and GPU, then a line a shape, `SHAPE HEX`, in the order of the shapes:
//
//     cuBLASLt 130100 on NVIDIA H100 80GB HBM3
//     bfloat16,bfloat16 m=2048 n=3072 k=768 batch=64 a=n b=n beta=0 aligned=1 0300…

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/core/element.h"
#include "engine/core/queue.h"
#include "engine/device/gemm.h"

namespace kappa {

class GemmPlans {
 public:
  /// What the library calls an algorithm: bytes that mean something to that version of it alone.
  using Algorithm = std::array<uint64_t, 8>;

  static std::string key(DType in, DType out, const GemmShape& shape, bool add, bool aligned);

  std::optional<Algorithm> find(const std::string& key) const;
  /// Adds one, to the file too where they are kept.
  void set(const std::string& key, const Algorithm& algorithm);
  size_t size() const { return plans_.size(); }

  std::string text(std::string_view library) const;
  /// Takes over the plans in `text`, unless they are another library's or another GPU's: then none, and false. Throws InputError
  /// that names `file` and the line if it is not such a text.
  bool load(std::string_view text, std::string_view library, std::string_view file);

  /// Begins with the plans in `file`, if it is there, and from now on keeps there all that it has. False if what is there is
  /// another library's or another GPU's: it is replaced with the first plan that is new.
  bool keep(const std::filesystem::path& file, std::string_view library);

 private:
  std::map<std::string, Algorithm> plans_;
  std::filesystem::path file_;  // empty: not kept
  std::string library_;
};

/// Keeps the plans of this program's products on `device` in `file`, as GemmPlans::keep does; true where there are no plans
/// because nothing is to be chosen, which is everywhere but on a GPU.
bool keep_gemm_plans(Device device, const std::filesystem::path& file);
/// The same for the GPU.
bool keep_gemm_plans_of_gpu(const std::filesystem::path& file);

}  // namespace kappa
