#include "data/tokenizer.h"

#include "data/bpe_trainer.h"
#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/device/thread_pool.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

Tokenizer small() {
  return Tokenizer(
      train_bpe(std::vector<std::string>{"the cat and the hat, the cat and the bat €€€ <|bos|> <|bos|> <|bos|>"}, 300));
}

}  // namespace

TEST_CASE("tokenizer: bytes survive, whatever they are") {
  const Tokenizer tokenizer = small();
  std::mt19937_64 random(29);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int64_t n = random_below(random, 30); n > 0; --n)
      bytes += random_below(random, 2) ? char(random()) : "the ca€"[random_below(random, 9)];
    const auto ids = tokenizer.encode(bytes);
    REQUIRE(tokenizer.decode_bytes(ids) == bytes);
    REQUIRE(tokenizer.decode(ids) == repair_utf8(bytes).text);
  }
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.decode({}).empty());
}

TEST_CASE("tokenizer: special tokens follow the others and are plain text in a text") {
  const Tokenizer tokenizer = small();
  const auto mergeable = int32_t(tokenizer.vocabulary().tokens.size());
  CHECK(tokenizer.size() == mergeable + 9);
  CHECK(tokenizer.bos_id() == mergeable);
  CHECK(tokenizer.special_id("<|user_start|>") == mergeable + 1);
  CHECK(tokenizer.special_id("<|output_end|>") == mergeable + 8);
  CHECK_FALSE(tokenizer.special_id("the").has_value());
  const auto ids = tokenizer.encode("<|bos|>");
  CHECK(std::all_of(ids.begin(), ids.end(), [&](int32_t id) { return id < mergeable; }));
  CHECK(tokenizer.decode(std::vector<int32_t>{tokenizer.bos_id()}) == "<|bos|>");
  REQUIRE_THROWS_AS(tokenizer.token(-1), InputError);
  REQUIRE_THROWS_AS(tokenizer.token(tokenizer.size()), InputError);
  REQUIRE_THROWS_AS(tokenizer.decode(std::vector<int32_t>{mergeable + 9}), InputError);
}

TEST_CASE("tokenizer: a token counts for the bytes of its text, a part of a character for those of U+FFFD") {
  Vocabulary v;
  for (int byte = 0; byte < 256; ++byte) v.tokens.emplace_back(1, char(byte));
  for (const char* token : {"ab", "€", "\xE2\x82", " \xE2\x82", "\x82\xAC", "\xF0\x9F", "a\x80", "<|end|>"})
    v.tokens.emplace_back(token);
  v.specials = {{"<|bos|>", 264}, {"<|end|>", 267}};
  v.bos = "<|bos|>";
  const auto lengths = Tokenizer(v).token_bytes();
  REQUIRE(lengths.size() == 256 + 8 + 4);
  for (size_t byte = 0; byte < 256; ++byte) CHECK(lengths[byte] == (byte < 0x80 ? 1 : 3));
  CHECK(std::vector(lengths.begin() + 256, lengths.end()) == std::vector<int32_t>{2, 3, 3, 4, 6, 3, 4, 0, 0, 0, 0, 0});
}

TEST_CASE("tokenizer: many texts are encoded as each alone, by any number of threads") {
  const Tokenizer tokenizer = small();
  std::mt19937_64 random(31);
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) {
    std::string& text = texts.emplace_back();
    for (int64_t n = random_below(random, 60); n > 0; --n) text += "the cat, and"[random_below(random, 12)];
  }
  const int before = threads();
  for (int count : {1, 2, 7}) {
    set_threads(count);
    const auto ids = tokenizer.encode_batch(texts);
    REQUIRE(ids.size() == texts.size());
    for (size_t i = 0; i < texts.size(); ++i) REQUIRE(ids[i] == tokenizer.encode(texts[i]));
  }
  set_threads(before);
}

TEST_CASE("tokenizer: a copy stands on its own") {
  auto original = std::make_unique<Tokenizer>(small());
  const auto ids = original->encode("the cat and the hat");
  const Tokenizer copy = *original;
  original.reset();
  CHECK(copy.encode("the cat and the hat") == ids);
}

TEST_CASE("tokenizer: what is no vocabulary is refused") {
  Vocabulary good = small().vocabulary();
  const auto refused = [&](auto change, const std::string& message) {
    Vocabulary bad = good;
    change(bad);
    CHECK(contains(complaint([&] { Tokenizer(std::move(bad)); }), message));
  };
  const auto last = int32_t(good.size()) - 1;
  refused([](Vocabulary& v) { v.tokens[65] = "xyz"; }, "single byte 0x41");
  refused([](Vocabulary& v) { v.tokens[65] = ""; }, "single byte 0x41");
  refused([](Vocabulary& v) { v.tokens.emplace_back("A"); }, "are both A");
  refused([=](Vocabulary& v) { v.specials.push_back({"<|bos|>", last + 1}); }, "<|bos|> is there twice");
  refused([=](Vocabulary& v) { v.specials.push_back({"", last + 1}); }, fmt::format("special token {}: expected text", last + 1));
  refused([=](Vocabulary& v) { v.specials.push_back({"\xFF", last + 1}); }, "not UTF-8");
  refused([=](Vocabulary& v) { v.specials.push_back({"<|x|>", last}); }, fmt::format("<|x|> has the id {}, after", last));
  refused([](Vocabulary& v) { v.specials[0].id = 65; }, "<|bos|> has the id 65, which is A's");
  refused([](Vocabulary& v) { v.specials.push_back({"<|x|>", 1 << 21}); }, "expected at most 2097152 ids");
  refused([](Vocabulary& v) { v.bos = "<|eos|>"; }, "<|eos|>");
  refused([](Vocabulary& v) { v.pattern = nullptr; }, "pattern");
}

TEST_CASE("tokenizer: ids may have gaps, specials may come first, and there may be no BOS") {
  Vocabulary v;
  v.tokens.resize(5);
  for (int byte = 0; byte < 256; ++byte) v.tokens.emplace_back(1, char(byte));
  v.tokens.resize(300);
  v.tokens.emplace_back("ab");
  v.specials = {{"<s>", 0}, {"</s>", 400}};
  const Tokenizer tokenizer(v);
  CHECK(tokenizer.size() == 401);
  CHECK(tokenizer.encode("abc") == std::vector<int32_t>{300, 5 + 'c'});
  CHECK(tokenizer.decode(std::vector<int32_t>{0, 300, 400}) == "<s>ab</s>");
  for (const int64_t id : {1, 261, 299, 301, 399, 401, -1}) CHECK_FALSE(complaint([&] { tokenizer.token(id); }).empty());
  CHECK(contains(complaint([&] { tokenizer.bos_id(); }), "no special token begins a document"));
  const auto lengths = tokenizer.token_bytes();
  CHECK(lengths.size() == 401);
  CHECK((lengths[0] == 0 && lengths[1] == 0 && lengths[5] == 1 && lengths[300] == 2 && lengths[400] == 0));
}

TEST_CASE("tokenizer: special tokens are found where they are asked for: the leftmost, the longest") {
  Vocabulary v = small().vocabulary();
  const auto next = int32_t(v.size());
  v.specials.push_back({"<|bos|>>", next});
  v.specials.push_back({"cat", next + 1});
  const Tokenizer tokenizer(v);
  const int32_t bos = *tokenizer.special_id("<|bos|>");
  const auto expect = [&](const std::string& text, const std::vector<std::pair<std::string, int32_t>>& parts) {
    std::vector<int32_t> ids, expected;
    tokenizer.encode_with_specials(text, ids);
    for (const auto& [before, special] : parts) {
      tokenizer.encode(before, expected);
      if (special >= 0) expected.push_back(special);
    }
    INFO(text);
    CHECK(ids == expected);
  };
  expect("", {});
  expect("the hat", {{"the hat", -1}});
  expect("<|bos|>", {{"", bos}});
  expect("the<|bos|> hat", {{"the", bos}, {" hat", -1}});
  expect("<|bos|>><|bos|", {{"", next}, {"<|bos|", -1}});
  expect("<<|bos|><|bos|>cats", {{"<", bos}, {"", bos}, {"", next + 1}, {"s", -1}});
  const std::vector<std::string> texts{"the cat"};
  CHECK(tokenizer.encode_batch(texts, Tokenizer::Specials::as_ids)[0].back() == next + 1);
  CHECK(tokenizer.encode_batch(texts)[0].back() != next + 1);
}
