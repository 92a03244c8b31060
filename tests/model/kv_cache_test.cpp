// A cache against the pass over everything.

#include "model/kv_cache.h"

#include <algorithm>

#include "engine/device/thread_pool.h"
#include "tests/model/model_cases.h"
#include "tests/model/slow_gpt.h"
#include "tests/support/catch.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

using Rows = std::vector<std::vector<int32_t>>;

Rows random_rows(size_t rows, size_t length, int64_t vocabulary, uint64_t seed) {
  std::mt19937_64 random(seed);
  Rows ids(rows);
  for (auto& row : ids)
    for (size_t t = 0; t < length; ++t) row.push_back(int32_t(random() % uint64_t(vocabulary)));
  return ids;
}

/// Positions [begin, end) of all rows.
Tensor columns(const Rows& rows, size_t begin, size_t end) {
  std::vector<int32_t> ids;
  for (const auto& row : rows) ids.insert(ids.end(), row.begin() + std::ptrdiff_t(begin), row.begin() + std::ptrdiff_t(end));
  return Tensor::integers(ids, {int64_t(rows.size()), int64_t(end - begin)});
}

/// What follows each piece of the rows, [rows, V] each, by passes that continue one cache.
std::vector<Tensor> pass_by_pass(Gpt& model, const Rows& rows, const std::vector<size_t>& pieces) {
  KvCache cache(model.config(), int64_t(rows.size()), int64_t(rows[0].size()), model.store().compute_dtype());
  std::vector<Tensor> logits;
  size_t begin = 0;
  for (size_t piece : pieces) {
    logits.push_back(model.next_logits(columns(rows, begin, begin + piece), {.training = false, .cache = &cache}));
    begin += piece;
    CHECK(cache.length() == int64_t(begin));
  }
  return logits;
}

/// The calls that pass_by_pass makes.
std::vector<Call> calls_of(size_t rows, const std::vector<size_t>& pieces) {
  std::vector<Call> calls;
  size_t begin = 0;
  for (size_t piece : pieces) {
    Call& call = calls.emplace_back();
    for (size_t r = 0; r < rows; ++r)
      for (size_t t = begin; t < begin + piece; ++t) call.push_back({r, t});
    begin += piece;
  }
  return calls;
}

const std::vector<size_t> pieces{5, 1, 1, 7, 1, 16, 1};  // 32 tokens of models that were made for 12
constexpr size_t total = 32;

}  // namespace

TEST_CASE("slow model: one pass over everything is the model's own") {
  for (const ModelCase& c : model_cases()) {
    INFO(c.what);
    Gpt model(c.config, DType::f64);
    randomize(model, 5);
    const Rows rows = random_rows(3, total, c.config.vocab_size, 6);
    SlowGpt slow(model);
    const auto expected = slow.logits(rows, calls_of(3, {total}));
    const auto found = to_doubles(model.logits(columns(rows, 0, total), {.training = false}));
    Numbers flat;
    for (const auto& row : expected)
      for (const Numbers& l : row) flat.insert(flat.end(), l.begin(), l.end());
    CHECK(relative_distance(found, flat) < 1e-12);
  }
}

TEST_CASE("cache: pass by pass, with the capacity of each pass") {
  host_step_slab().poison(true);
  for (ModelCase c : model_cases())
    for (const bool scarce : {false, true}) {
      INFO(c.what << (scarce ? ", few slots" : ""));
      c.config.eval_capacity = scarce ? 0.6 : double(c.config.n_exp);
      if (scarce) c.config.min_capacity = 1;
      Gpt model(c.config, DType::f64);
      randomize(model, 7);
      const Rows rows = random_rows(3, total, c.config.vocab_size, 8);
      SlowGpt slow(model);
      const auto expected = slow.logits(rows, calls_of(3, pieces));
      if (c.config.n_exp > 0) CHECK((slow.dropped() > 0) == scarce);
      const std::vector<Tensor> found = pass_by_pass(model, rows, pieces);
      size_t end = 0;
      for (size_t i = 0; i < pieces.size(); ++i) {
        end += pieces[i];
        Numbers flat;
        for (const auto& row : expected) flat.insert(flat.end(), row[end - 1].begin(), row[end - 1].end());
        INFO("after " << end << " tokens");
        CHECK(relative_distance(to_doubles(found[i]), flat) < 1e-12);
      }
    }
  host_step_slab().poison(false);
}

TEST_CASE("cache: in float32 and bfloat16 what the pass over everything gives") {
  for (ModelCase c : model_cases())
    for (const DType compute : {DType::f32, DType::bf16}) {
      INFO(c.what << " in " << name_of(compute));
      c.config.eval_capacity = double(c.config.n_exp);  // nothing is dropped, whatever the pass
      // Rounding may flip a choice between two experts, in bfloat16 often: with all of them chosen there is none.
      if (compute == DType::bf16 && c.config.n_exp > 0) c.config.moe_top_k = c.config.n_exp;
      Gpt model(c.config, compute);
      randomize(model, 9);
      const Rows rows = random_rows(2, total, c.config.vocab_size, 10);
      const auto whole = to_doubles(model.logits(columns(rows, 0, total), {.training = false}));
      const std::vector<Tensor> found = pass_by_pass(model, rows, pieces);
      const size_t vocabulary = size_t(c.config.vocab_size);
      size_t end = 0;
      for (size_t i = 0; i < pieces.size(); ++i) {
        end += pieces[i];
        Numbers expected;
        for (size_t row : {0, 1}) {
          const auto first = whole.begin() + std::ptrdiff_t((row * total + end - 1) * vocabulary);
          expected.insert(expected.end(), first, first + std::ptrdiff_t(vocabulary));
        }
        CHECK(relative_distance(to_doubles(found[i]), expected) < (compute == DType::f32 ? 2e-5 : 0.06));
      }
    }
}

TEST_CASE("cache: the same bits from any number of threads") {
  const ModelCase c = model_cases()[6];
  Gpt model(c.config, DType::f32);
  randomize(model, 11);
  const Rows rows = random_rows(3, total, c.config.vocab_size, 12);
  const int before = threads();
  std::vector<std::vector<Numbers>> all;
  for (int count : {1, 2, 3}) {
    set_threads(count);
    all.emplace_back();
    for (const Tensor& logits : pass_by_pass(model, rows, pieces)) all.back().push_back(to_doubles(logits));
  }
  set_threads(before);
  CHECK(all[0] == all[1]);
  CHECK(all[0] == all[2]);
}

TEST_CASE("cache: a prompt is given to all rows") {
  const ModelCase c = model_cases()[10];  // looped
  Gpt model(c.config, DType::f64);
  randomize(model, 13);
  const Rows prompt = random_rows(1, 9, c.config.vocab_size, 14), next = random_rows(3, 1, c.config.vocab_size, 15);
  KvCache read(c.config, 1, 9, DType::f64), rows(c.config, 3, 10, DType::f64);
  model.next_logits(columns(prompt, 0, 9), {.training = false, .cache = &read});
  rows.fill_rows(read);
  CHECK(rows.length() == 9);
  const auto found = to_doubles(model.next_logits(columns(next, 0, 1), {.training = false, .cache = &rows}));
  for (size_t r = 0; r < 3; ++r) {
    KvCache alone(c.config, 1, 10, DType::f64);
    alone.fill_rows(read);
    const auto expected = to_doubles(model.next_logits(columns({next[r]}, 0, 1), {.training = false, .cache = &alone}));
    const auto first = found.begin() + std::ptrdiff_t(r * expected.size());
    CHECK(relative_distance({first, first + std::ptrdiff_t(expected.size())}, expected) < 1e-13);
  }
}

TEST_CASE("cache: what does not fit is refused") {
  const ModelCase c = model_cases()[0];
  Gpt model(c.config, DType::f32);
  const auto pass = [&](KvCache& cache, int64_t rows, int64_t tokens) {
    model.next_logits(Tensor::zeros({rows, tokens}, DType::i32), {.training = false, .cache = &cache});
  };
  KvCache cache(c.config, 2, 8, DType::f32);
  pass(cache, 2, 5);
  CHECK_THROWS_WITH(pass(cache, 2, 4), "kv_cache: 5 tokens and 4 more do not fit into 8 positions");
  CHECK_THROWS_WITH(pass(cache, 3, 1), contains("kv_cache: k must be [2, 1, 2, 16], found [3, 1, 2, 16]"));
  CHECK(cache.length() == 5);
  KvCache half(c.config, 2, 8, DType::bf16);
  CHECK_THROWS_WITH(pass(half, 2, 1), contains("kv_cache: k must be bfloat16"));
  CHECK_THROWS_WITH(KvCache(c.config, 0, 8, DType::f32), contains("found 0 and 8"));
  CHECK_THROWS_WITH(KvCache(c.config, 1 << 20, 1 << 30, DType::f32), contains("1048576 rows"));
  KvCache longer(c.config, 1, 9, DType::f32);
  pass(longer, 1, 9);
  CHECK_THROWS_WITH(cache.fill_rows(longer), contains("at most 8 tokens, found 1 and 9"));
}

TEST_CASE("rows may be ten times as long as those of training, and no longer") {
  const ModelCase c = model_cases()[0];
  Gpt model(c.config, DType::f32);
  const auto run = [&](int64_t tokens, bool training) {
    const Tensor ids = Tensor::zeros({1, tokens}, DType::i32);
    model.losses(ids, ids, {.training = training});
  };
  CHECK_NOTHROW(run(12, true));
  CHECK_THROWS_WITH(run(13, true), contains("rows of 13 tokens are longer than model.sequence_len 12"));
  CHECK_NOTHROW(run(120, false));
  CHECK_THROWS_WITH(run(121, false), contains("rows of 121 tokens are longer than ten times model.sequence_len 12"));
}
