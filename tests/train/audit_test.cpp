// The whole model against recorded values of another implementation: every activation, loss and gradient.

#include "train/audit.h"

#include <cmath>
#include <limits>

#include "engine/device/thread_pool.h"
#include "engine/tensor/safetensors.h"
#include "tests/support/catch.h"
#include "tests/support/paths.h"
#include "tests/support/recorded.h"
#include "tests/support/skip.h"
#include "tests/support/temp_folder.h"
#include "train/memory_plan.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

const fs::path recorded = source_dir() / "tests/fixtures/audit";
const char* const names[] = {"kappa_paper_recipe", "loop_two_passes", "aux_free_top4", "kappa_eval"};

/// How far a tensor may be off: relative·‖theirs‖₂ + absolute·√n.
struct Tolerance {
  double relative, absolute;
};

/// Every tensor of `theirs` is in `ours`, floats within the tolerance, all else equal.
void check_agreement(const ValuesByName& ours, const ValuesByName& theirs, Tolerance tolerance) {
  for (const auto& [name, expected] : theirs) {
    INFO(name);
    const auto found = ours.find(name);
    REQUIRE(found != ours.end());
    REQUIRE(found->second.exact == expected.exact);
    const double off = distance(found->second.numbers, expected.numbers);
    if (expected.exact)
      CHECK(off == 0);
    else
      CHECK(off <= tolerance.relative * norm(expected.numbers) + tolerance.absolute * std::sqrt(double(expected.numbers.size())));
  }
}

struct AuditOf {
  fs::path folder;
  DType compute = DType::f32;
  std::vector<std::string> overrides = {};
  std::optional<fs::path> routing = {};
};

const fs::path& write_audit(const AuditOf& a, const fs::path& out) {
  audit(load_run_config(a.folder / "config.yaml", a.overrides), a.compute,
        {.weights = a.folder / "weights.safetensors", .batch = a.folder / "batch.safetensors", .out = out, .routing = a.routing});
  return out;
}

/// The recorded values are float32 themselves: their distance from exact ones is at most a fifth of this.
constexpr Tolerance float32_tolerance{2e-5, 1e-7};

void check_case(const fs::path& folder) {
  const TempFolder temp;
  const ValuesByName expected = values_in(folder / "expected.safetensors");
  REQUIRE(expected.contains("logits"));
  for (const DType compute : {DType::f32, DType::f64}) {
    INFO(folder.filename() << " in " << name_of(compute));
    check_agreement(values_in(write_audit({folder, compute}, temp / "out")), expected, float32_tolerance);
  }
}

/// bfloat16 has 8 bits; some dozen roundings in a row add up to a few times 2⁻⁸. Which experts a token goes to is imposed: a
/// choice that rounding flips is another function.
void check_bf16(const fs::path& folder) {
  const TempFolder temp;
  const ValuesByName expected = values_in(folder / "expected.safetensors");
  const fs::path routing = write_audit({folder}, temp / "float32");
  const ValuesByName ours = values_in(write_audit({folder, DType::bf16, {}, routing}, temp / "bfloat16"));
  std::vector<double> whole, whole_expected;
  for (const auto& [name, theirs] : expected) {
    if (!name.starts_with("grad.")) continue;
    whole_expected.insert(whole_expected.end(), theirs.numbers.begin(), theirs.numbers.end());
    whole.insert(whole.end(), ours.at(name).numbers.begin(), ours.at(name).numbers.end());
  }
  CHECK(distance(whole, whole_expected) <= 0.05 * norm(whole_expected));
  for (const auto& [name, theirs] : expected) {
    INFO(folder.filename() << " in bfloat16: " << name);
    const double size = norm(theirs.numbers), off = distance(ours.at(name).numbers, theirs.numbers);
    if (theirs.exact)
      CHECK(off == 0);
    else if (name == "logits" || name.starts_with("act."))
      CHECK(off <= 0.02 * size);
    else if (name.starts_with("grad.") && size >= 0.01 * norm(whole_expected))
      CHECK(off <= 0.05 * size);
  }
}

/// Copies the tensors of a file as `edit` leaves them.
void rewrite(const fs::path& from, const fs::path& to, const std::function<void(std::vector<StoredTensor>&)>& edit) {
  const SafetensorsFile file(from);
  std::vector<StoredTensor> tensors(file.tensors().begin(), file.tensors().end());
  edit(tensors);
  write_safetensors(to, tensors);
}

StoredTensor& named(std::vector<StoredTensor>& tensors, const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &StoredTensor::name);
  REQUIRE(found != tensors.end());
  return *found;
}

/// A case whose files can be spoilt.
class Spoilt {
 public:
  Spoilt() {
    for (const char* name : {"config.yaml", "weights.safetensors", "batch.safetensors"})
      fs::copy_file(recorded / "loop_two_passes" / name, folder_ / name);
  }
  fs::path operator/(const std::string& name) const { return folder_ / name; }

  void edit(const char* name, const std::function<void(std::vector<StoredTensor>&)>& change) const {
    rewrite(recorded / "loop_two_passes" / name, folder_ / name, change);
  }
  /// A batch of these ids, rows of `length`.
  void write_batch(const std::vector<int32_t>& inputs, const std::vector<int32_t>& targets, int64_t length) const {
    const auto entry = [&](const char* name, const std::vector<int32_t>& ids) {
      return StoredTensor{name, StoredType::i32, {int64_t(ids.size()) / length, length}, std::as_bytes(std::span(ids))};
    };
    write_safetensors(folder_ / "batch.safetensors", {entry("inputs", inputs), entry("targets", targets)});
  }
  /// The audit is refused with all of these words in one line, and nothing is written.
  void check_refused(const std::vector<std::string>& words, std::optional<fs::path> routing = {},
                     const std::vector<std::string>& overrides = {}) const {
    std::string complaint;
    try {
      write_audit({folder_.path(), DType::f32, overrides, std::move(routing)}, folder_ / "out");
    } catch (const InputError& error) {
      complaint = error.what();
    }
    for (const std::string& word : words) CHECK_THAT(complaint, contains(word));
    CHECK(complaint.find('\n') == std::string::npos);
    CHECK_FALSE(fs::exists(folder_ / "out"));
    CHECK_FALSE(fs::exists(folder_ / "out.tmp"));
  }

 private:
  TempFolder folder_;
};

std::string bytes_of(const fs::path& path) { return read_file(path); }

}  // namespace

TEST_CASE("audit: activations, losses and gradients are the recorded ones") {
  for (const char* name : names) check_case(recorded / name);
}

TEST_CASE("audit: all recorded cases that can be found") {
  const auto shared = shared_folder("recorded cases");
  if (!shared) return;
  int count = 0;
  for (const auto& entry : fs::directory_iterator(*shared / "golden/forward")) check_case(entry.path()), ++count;
  CHECK(count > 0);
}

TEST_CASE("audit: bfloat16 is close") {
  for (const char* name : names) check_bf16(recorded / name);
}

TEST_CASE("audit: the same bytes for any number of threads and in a second run") {
  const TempFolder temp;
  const int before = threads();
  for (const char* name : names) {
    INFO(name);
    set_threads(1);
    const std::string one = bytes_of(write_audit({recorded / name}, temp / "out"));
    set_threads(2);
    CHECK(bytes_of(write_audit({recorded / name}, temp / "out")) == one);
    CHECK(bytes_of(write_audit({recorded / name}, temp / "out")) == one);
    set_threads(before);
  }
}

TEST_CASE("audit: what is computed again on the way back is the same") {
  const TempFolder temp;
  for (const char* name : names) {
    const ValuesByName plain = values_in(write_audit({recorded / name}, temp / "out"));
    for (const char* key : {"model.activation_checkpointing=true", "model.loss_recompute_backward=false"}) {
      INFO(name << " with " << key);
      check_agreement(values_in(write_audit({recorded / name, DType::f32, {key}}, temp / "out")), plain, {1e-6, 1e-9});
    }
  }
}

TEST_CASE("audit: weights that are not there, or not whole") {
  const Spoilt files;
  const fs::path weights = files / "weights.safetensors";
  const std::string whole = bytes_of(weights);
  for (const size_t length : {size_t{0}, size_t{7}, size_t{8}, size_t{500}, whole.size() / 2, whole.size() - 1}) {
    INFO("the first " << length << " bytes");
    write_file(weights, std::string_view(whole).substr(0, length));
    files.check_refused({weights.string()});
  }
  fs::remove(weights);
  files.check_refused({weights.string()});
}

TEST_CASE("audit: weights of another model") {
  const Spoilt files;
  const std::string name = "transformer.h.0.mlp.c_fc.weight";
  const fs::path weights = files / "weights.safetensors";
  SECTION("another shape") {
    files.edit("weights.safetensors", [&](auto& tensors) { std::ranges::reverse(named(tensors, name).shape); });
    files.check_refused({weights.string(), name, "[128, 32]", "[32, 128]"});
  }
  SECTION("a missing tensor") {
    files.edit("weights.safetensors", [&](auto& tensors) { std::erase_if(tensors, [&](auto& t) { return t.name == name; }); });
    files.check_refused({weights.string(), name});
  }
  SECTION("a tensor too many") {
    files.edit("weights.safetensors", [&](auto& tensors) {
      tensors.push_back(named(tensors, name));
      tensors.back().name += "_2";
    });
    files.check_refused({weights.string(), name + "_2"});
  }
  SECTION("integers") {
    const std::vector<int32_t> integers(32 * 128, 1);
    files.edit("weights.safetensors", [&](auto& tensors) {
      named(tensors, name).type = StoredType::i32;
      named(tensors, name).bytes = std::as_bytes(std::span(integers));
    });
    files.check_refused({weights.string(), name, "I32"});
  }
}

TEST_CASE("audit: weights that are not finite") {
  const Spoilt files;
  const std::string name = "transformer.wte.weight";
  for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity()}) {
    std::vector<float> numbers;
    files.edit("weights.safetensors", [&](auto& tensors) {
      StoredTensor& t = named(tensors, name);
      REQUIRE(t.shape.at(1) == 32);
      numbers.assign(size_t(t.size()), 0.5F);
      numbers[3 * 32 + 4] = numbers[7 * 32] = wrong;
      t.type = StoredType::f32, t.bytes = std::as_bytes(std::span(numbers));
    });
    files.check_refused({fmt::format("{}: {}: expected finite numbers, found {} at [3, 4]",
                                     (files / "weights.safetensors").string(), name, std::isnan(wrong) ? "nan" : "inf")});
  }
}

TEST_CASE("audit: batches that do not fit") {
  const Spoilt files;  // 250 tokens are known, a row has 64 at most
  const std::vector<int32_t> ids(2 * 40, 7);
  const fs::path batch = files / "batch.safetensors";
  SECTION("this one does") {
    files.write_batch(ids, ids, 40);
    CHECK_NOTHROW(write_audit({batch.parent_path()}, files / "out"));
  }
  for (const int32_t wrong : {250, -1, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
    DYNAMIC_SECTION("input " << wrong) {
      auto inputs = ids;
      inputs[40 + 13] = wrong;
      files.write_batch(inputs, ids, 40);
      files.check_refused({batch.string(), "inputs", fmt::format("found {} ", wrong), "row 1", "position 13"});
    }
  }
  for (const int32_t wrong : {250, -2}) {
    DYNAMIC_SECTION("target " << wrong) {
      auto targets = ids;
      targets[40 + 13] = wrong;
      files.write_batch(ids, targets, 40);
      files.check_refused({batch.string(), "targets", fmt::format("found {} ", wrong), "row 1", "position 13"});
    }
  }
  SECTION("targets of another shape") {
    files.write_batch(ids, std::vector<int32_t>(40, 7), 40);
    files.check_refused({batch.string(), "targets", "[2, 40]", "[1, 40]"});
  }
  SECTION("rows that are too long") {
    files.write_batch(std::vector<int32_t>(65, 7), std::vector<int32_t>(65, 7), 65);
    files.check_refused({batch.string(), "rows of at most 64 tokens (model.sequence_len)", "found 65"});
  }
  SECTION("no rows") {
    files.write_batch({}, {}, 40);
    files.check_refused({batch.string(), "inputs", "[0, 40]"});
  }
  SECTION("no targets") {
    files.edit("batch.safetensors", [](auto& tensors) { std::erase_if(tensors, [](auto& t) { return t.name == "targets"; }); });
    files.check_refused({batch.string(), "targets"});
  }
  SECTION("numbers with a fraction") {
    files.edit("batch.safetensors", [](auto& tensors) { named(tensors, "inputs").type = StoredType::f32; });
    files.check_refused({batch.string(), "inputs", "F32"});
  }
  SECTION("choices of experts that are not there, and of one twice") {
    write_audit({recorded / "loop_two_passes"}, files / "routing");
    std::vector<int32_t> choices(120 * 2, 0);
    for (size_t i = 1; i < choices.size(); i += 2) choices[i] = 1;
    const auto check_refused = [&](int32_t first, int32_t second, const char* why) {
      const std::string name = "act.loop.1.h.1.top_k_indices";
      choices[10] = first, choices[11] = second;
      rewrite(files / "routing", files / "routing2",
              [&](auto& tensors) { named(tensors, name).bytes = std::as_bytes(std::span(choices)); });
      files.check_refused({fmt::format("{}: {}: token 5: expected {}", (files / "routing2").string(), name, why)},
                          files / "routing2");
    };
    check_refused(0, 4, "experts from 0 to 3, found 4");
    check_refused(-1, 1, "experts from 0 to 3, found -1");
    check_refused(1, 1, "different experts, found 1 twice");
  }
  SECTION("choices of other tokens") {
    write_audit({recorded / "loop_two_passes"}, files / "routing");
    files.write_batch(ids, ids, 40);
    files.check_refused({(files / "routing").string(), "act.loop.0.h.1.top_k_indices", "[80, 2]", "[120, 2]"}, files / "routing");
  }
}

TEST_CASE("audit: sizes far above the file's cost nothing") {
  const Spoilt files;
  SECTION("other sizes than the weights have") {
    for (const auto& [set, found] : std::vector<std::pair<std::string, std::string>>{
             {"model.vocab_size=1073741824", "transformer.wte.weight: expected shape [1073741824, 32], found [256, 32]"},
             {"model.n_exp=1000000", "transformer.h.1.mlp.router.w_g.weight: expected shape [1000000, 32], found [4, 32]"}})
      files.check_refused({(files / "weights.safetensors").string(), found}, {}, {set});
  }
  SECTION("slots that no token can take, positions that no row has") {
    const std::string all = bytes_of(write_audit({files / "", DType::f32, {"model.min_capacity=120"}}, files / "out"));
    for (const char* key : {"model.min_capacity=1073741824", "model.train_capacity=1000000", "model.min_capacity=121"})
      CHECK(bytes_of(write_audit({files / "", DType::f32, {key}}, files / "out")) == all);
    const std::vector<std::string> long_rows{"model.min_capacity=120", "model.sequence_len=268435456",
                                             "train.device_batch_size=1"};
    CHECK(bytes_of(write_audit({files / "", DType::f32, long_rows}, files / "out")) == all);
  }
}

TEST_CASE("audit: the plan of its memory grows with what takes it") {
  const fs::path config = recorded / "loop_two_passes" / "config.yaml";
  const auto plan = [&](const char* set, DType compute, int64_t tokens) {
    return plan_audit_memory(load_run_config(config, {set}), compute, tokens);
  };
  const MemoryPlan plain = plan("model.total_ut_steps=2", DType::f32, 1000);
  CHECK(plan("model.total_ut_steps=200", DType::f32, 1000).total() > 50 * plain.activations);
  CHECK(plan("model.total_ut_steps=2", DType::f32, 100000).activations > 90 * plain.activations);
  CHECK(plan("model.total_ut_steps=2", DType::f64, 1000).total() == Approx(2 * plain.total()).epsilon(0.01));
  CHECK(plan("audit.mode=eval", DType::f32, 1000).total() < plain.total());
}
