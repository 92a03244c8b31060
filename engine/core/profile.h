#pragma once
// Where time and memory go, op by op.
//
// A few places that all ops pass through report here: their dispatch, the tensors they are handed, the products they are made of,
// the step slab. While no Profile is alive, each of these costs one comparison.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kappa {

enum class Phase : uint8_t { forward, backward, update };

constexpr const char* name_of(Phase phase) {
  return phase == Phase::forward ? "forward" : phase == Phase::backward ? "backward" : "update";
}

/// A product C = op(A)·op(B) of a batch of matrices, as gemm.h has it.
struct ProductShape {
  int64_t batch, m, n, k;
  bool transpose_a, transpose_b;
  double flops() const { return 2.0 * double(batch) * double(m) * double(n) * double(k); }
  bool operator==(const ProductShape&) const = default;
  /// An order, so that shapes can be keys; clang-tidy 14 takes the 0 in a defaulted <=> for a pointer.
  bool operator<(const ProductShape& other) const {
    return std::tie(batch, m, n, k, transpose_a, transpose_b) <
           std::tie(other.batch, other.m, other.n, other.k, other.transpose_a, other.transpose_b);
  }
};

/// Collects while it is alive. At most one at a time; ops run on the thread that made it, products on any.
class Profile {
 public:
  struct Row {
    int64_t calls = 0;
    double seconds = 0;
    double product_seconds = 0;  // in matrix products, summed over threads
    double flops = 0;            // of matrix products
    double bytes = 0;            // of the tensors read and written, each counted once a call
    int64_t held = 0;            // bytes taken from the step slab and not yet returned
    int64_t held_at_peak = 0;    // the same when all ops together held most
  };
  using Key = std::pair<std::string_view, Phase>;
  /// The seconds of every product of a shape, from start to end.
  using ProductTimes = std::map<std::pair<ProductShape, Phase>, std::vector<double>>;

  Profile();
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// None: nobody is asking.
  static Profile* current() { return current_; }

  const std::map<Key, Row>& rows() const { return rows_; }
  const ProductTimes& products() const { return products_; }
  int64_t peak() const { return peak_; }  // bytes of the step slab
  /// Where ops are not finished when they return: a clock that runs with them. mark() gives a point in their order; the seconds
  /// between two are known later, after settle().
  struct Marks {
    int64_t (*mark)();
    double (*seconds)(int64_t from, int64_t to);
  };
  void time_with(const Marks& marks) { marks_ = marks; }
  /// Counts the times between marks so far, and waits for what it needs.
  void settle();
  /// Forgets calls, times and counts; what is held stays known.
  void restart();

  void open(std::string_view op);  // within another op it is part of that one
  void close();
  Phase enter(Phase phase) { return std::exchange(phase_, phase); }
  void touch(const void* data, int64_t bytes);
  void took(const void* block, int64_t bytes);  // between two ops: the next one's
  void returned(const void* block);
  void add_part(std::chrono::nanoseconds time, int64_t flops);  // of a product; from any thread
  void add_product(const ProductShape& shape, double seconds) { products_[{shape, phase_}].push_back(seconds); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Block {
    Row* owner;
    int64_t bytes;
  };
  void own(const void* block, int64_t bytes);

  inline static Profile* current_ = nullptr;
  std::map<Key, Row> rows_;
  ProductTimes products_;
  std::unordered_map<const void*, Block> blocks_;
  std::vector<std::pair<const void*, int64_t>> unowned_;
  std::vector<const void*> touched_;
  Row* open_ = nullptr;
  int depth_ = 0;
  Phase phase_ = Phase::forward;
  Marks marks_{};
  struct Span {
    Row* row;
    int64_t from, to;
  };
  std::vector<Span> spans_;
  int64_t mark_ = 0;
  Clock::time_point opened_;
  std::atomic<int64_t> product_nanoseconds_{0}, product_flops_{0};
  int64_t in_use_ = 0, peak_ = 0;
};

/// One call of an op.
class OpScope {
 public:
  explicit OpScope(std::string_view op) : profile_(Profile::current()), outer_(std::exchange(running_, op)) {
    if (profile_) profile_->open(op);
  }
  ~OpScope() {
    if (profile_) profile_->close();
    running_ = outer_;
  }
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

  /// The op that is being called on this thread; empty between ops.
  static std::string_view running() { return running_; }

 private:
  inline static thread_local constinit std::string_view running_{};
  Profile* profile_;
  std::string_view outer_;
};

/// What the ops in it are done for; forward where nothing else is said.
class PhaseScope {
 public:
  explicit PhaseScope(Phase phase) : profile_(Profile::current()) {
    if (profile_) outer_ = profile_->enter(phase);
  }
  ~PhaseScope() {
    if (profile_) profile_->enter(outer_);
  }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  Profile* profile_;
  Phase outer_ = Phase::forward;
};

/// A matrix product, or one thread's part of it.
class PartScope {
 public:
  explicit PartScope(int64_t flops) : profile_(Profile::current()), flops_(flops) {
    if (profile_) begin_ = std::chrono::steady_clock::now();
  }
  ~PartScope() {
    if (profile_) profile_->add_part(std::chrono::steady_clock::now() - begin_, flops_);
  }
  PartScope(const PartScope&) = delete;
  PartScope& operator=(const PartScope&) = delete;

 private:
  Profile* profile_;
  int64_t flops_;
  std::chrono::steady_clock::time_point begin_;
};

/// A whole product, on the thread that waits for it.
class ProductScope {
 public:
  explicit ProductScope(const ProductShape& shape) : profile_(Profile::current()), shape_(shape) {
    if (profile_) begin_ = std::chrono::steady_clock::now();
  }
  ~ProductScope() {
    if (!profile_) return;
    profile_->add_product(shape_, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count());
  }
  ProductScope(const ProductScope&) = delete;
  ProductScope& operator=(const ProductScope&) = delete;

 private:
  Profile* profile_;
  ProductShape shape_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace kappa
