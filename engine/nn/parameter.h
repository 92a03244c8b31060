#pragma once
// Parameters and buffers, each described once. Checkpoints, optimizer groups, printouts and tests go through these descriptions.

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "engine/tensor/tensor.h"

namespace kappa {

/// Where a parameter's first values come from.
struct Init {
  enum class Kind { zeros, ones, uniform, normal } kind = Kind::zeros;
  double scale = 0;  // uniform in (−scale, scale), or the normal's standard deviation
  static Init uniform(double bound) { return {Kind::uniform, bound}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  static Init ones() { return {Kind::ones}; }
};

/// What a parameter is to the optimizer (spec: training §6).
enum class Role { matrix, embedding, value_embedding, lm_head, kappa, resid_lambdas, x0_lambdas };

struct ParameterSpec {
  std::string name;  // as in checkpoints
  Shape shape;
  Init init = {};
  Role role = Role::matrix;
  bool in_moe_block = false;  // matrices of dense and of MoE blocks are never in one optimizer group
  bool gets_gradient = true;  // false: no op reads it, and the optimizer leaves it alone
};

/// Which parameters of a model that computes in bfloat16 are kept in bfloat16 themselves, with their gradients and the
/// optimizer's state; the others are kept in float32.
enum class Narrow : uint8_t { none, embeddings, all };

/// A learned tensor. `value` is what ops read, `master` what the optimizer updates. They are one memory unless they differ in
/// type: in a model that computes in bfloat16, masters in float32 have rounded values, except for κ and the lambdas, which are
/// always used in float32.
///
/// Ops add to the gradient of `value`, which is wide; the optimizer reads that of `master`, which has the master's type. If that
/// is wide they are one; else settle_gradients() moves the one into the other.
struct Parameter {
  ParameterSpec spec;
  Tensor value = {}, master = {};

  /// Whether ops read it in the wide type whatever the model computes in.
  bool always_wide() const {
    return spec.role == Role::kappa || spec.role == Role::resid_lambdas || spec.role == Role::x0_lambdas;
  }
};

/// State that is not learned. `boolean` values are int32 0 or 1.
struct BufferSpec {
  std::string name;
  Shape shape;
  bool boolean = false;
  bool scalar = false;  // written without axes
  bool saved = true;    // false: a step's circumstance, like U, which checkpoints need not hold
};
struct Buffer {
  BufferSpec spec;
  Tensor value = {};  // wide, or int32 if boolean
};

/// A model's parameters and buffers in the order of their declaration. First all are declared, then memory is taken once,
/// exactly.
class ParameterStore {
 public:
  Parameter& declare(ParameterSpec spec);
  Buffer& declare_buffer(BufferSpec spec);

  /// Takes zeroed memory for a model that computes in `compute` on `device`. Call once. Narrow parameters need bfloat16 for
  /// `compute`.
  void allocate(DType compute, Narrow narrow = Narrow::none, Device device = Device::cpu);
  /// The type of the parameter's master, its gradient and the optimizer's state after such an allocate().
  static DType master_dtype(const ParameterSpec& spec, DType compute, Narrow narrow);
  /// Draws first values, each parameter from its own random stream: a pure function of the seed and its name.
  void initialize(uint64_t seed);
  /// Copies the masters into values of another type; after every change of a master.
  void refresh_values();
  /// After every micro-batch: the gradients of narrow parameters are rounded, added to those that the optimizer reads, rounded
  /// again, and begin anew at zero.
  void settle_gradients();
  void zero_gradients();
  /// ‖gradient‖₂ over all masters.
  double gradient_norm() const;

  std::deque<Parameter>& parameters() { return parameters_; }
  const std::deque<Parameter>& parameters() const { return parameters_; }
  std::deque<Buffer>& buffers() { return buffers_; }
  const std::deque<Buffer>& buffers() const { return buffers_; }
  Parameter* find(std::string_view name);

  DType compute_dtype() const { return compute_; }
  Narrow narrow() const { return narrow_; }
  int64_t count() const;  // numbers in all parameters
  int64_t value_bytes() const { return values_ ? values_->size() : 0; }
  int64_t gradient_bytes() const { return gradients_ ? gradients_->size() : 0; }

 private:
  std::deque<Parameter> parameters_;  // a deque: modules keep references
  std::deque<Buffer> buffers_;
  DType compute_ = DType::f32;
  Narrow narrow_ = Narrow::none;
  std::optional<PersistentSlab> values_, gradients_;
};

/// A prefix of names: Scope(store) / "transformer" / "h" / 3 / "attn".
class Scope {
 public:
  explicit Scope(ParameterStore& parameters, std::string prefix = "") : store_(parameters), prefix_(std::move(prefix)) {}
  Scope operator/(std::string_view part) const { return Scope(store_, name(part)); }
  Scope operator/(int64_t index) const { return *this / std::to_string(index); }
  std::string name(std::string_view part) const {
    return prefix_.empty() ? std::string(part) : prefix_ + "." + std::string(part);
  }
  ParameterStore& store() const { return store_; }

 private:
  ParameterStore& store_;
  std::string prefix_;
};

}  // namespace kappa
