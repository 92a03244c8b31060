#include "data/bpe_trainer.h"

#include <algorithm>
#include <map>

#include "data/tokenizer.h"
#include "engine/core/error.h"
#include "engine/device/thread_pool.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// spec/evaluation.md §3.4 taken at its word: strings, and a search through all tokens.
std::vector<int32_t> merge_slowly(const std::vector<std::string>& tokens, const std::string& piece) {
  const auto id_of = [&](const std::string& bytes) {
    const auto found = std::find(tokens.begin(), tokens.end(), bytes);
    return found == tokens.end() ? -1 : int32_t(found - tokens.begin());
  };
  if (const int32_t id = id_of(piece); id >= 0) return {id};
  std::vector<std::string> parts;
  for (char byte : piece) parts.emplace_back(1, byte);
  for (;;) {
    int32_t best = -1;
    size_t where = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i)
      if (const int32_t id = id_of(parts[i] + parts[i + 1]); id >= 0 && (best < 0 || id < best)) best = id, where = i;
    if (best < 0) break;
    parts[where] += parts[where + 1];
    parts.erase(parts.begin() + ptrdiff_t(where) + 1);
  }
  std::vector<int32_t> ids;
  for (const auto& part : parts) ids.push_back(id_of(part));
  return ids;
}

/// §3.5 taken at its word: every pair of every piece counted anew for every merge.
std::vector<std::string> train_slowly(const std::vector<std::string>& texts, size_t size) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, char(byte));
  std::vector<std::vector<int32_t>> pieces;
  for (const auto& text : texts)
    for_each_piece(paper_pattern(), text, [&](std::string_view piece) {
      auto& ids = pieces.emplace_back();
      for (char byte : piece) ids.push_back(uint8_t(byte));
    });
  while (tokens.size() < size) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (const auto& ids : pieces)
      for (size_t i = 0; i + 1 < ids.size(); ++i) ++counts[{ids[i], ids[i + 1]}];
    if (counts.empty()) break;
    auto best = counts.begin();  // the first of the most frequent in ascending order
    for (auto it = counts.begin(); it != counts.end(); ++it)
      if (it->second > best->second) best = it;
    const auto [left, right] = best->first;
    for (auto& ids : pieces)
      for (size_t i = 0; i + 1 < ids.size(); ++i)
        if (ids[i] == left && ids[i + 1] == right) {
          ids[i] = int32_t(tokens.size());
          ids.erase(ids.begin() + ptrdiff_t(i) + 1);
        }
    tokens.push_back(tokens[size_t(left)] + tokens[size_t(right)]);
  }
  return tokens;
}

std::string random_text(std::mt19937_64& random, const std::string& alphabet, int64_t length) {
  std::string text;
  for (int64_t i = 0; i < length; ++i) text += alphabet[size_t(random_below(random, int64_t(alphabet.size())))];
  return text;
}

constexpr int64_t specials = 9;

}  // namespace

TEST_CASE("bpe: the trainer makes the merges that counting anew would make") {
  std::mt19937_64 random(13);
  for (int round = 0; round < 150; ++round) {
    const std::string alphabet = std::string("ab ").substr(0, size_t(1 + round % 3)) + (round % 5 == 0 ? "cde\n1" : "");
    std::vector<std::string> texts;
    for (int64_t n = 1 + random_below(random, 6); n > 0; --n)
      texts.push_back(random_text(random, alphabet, random_below(random, 60)));
    const size_t size = 256 + size_t(random_below(random, 40));
    INFO("round " << round);
    REQUIRE(train_bpe(texts, int64_t(size) + specials).tokens == train_slowly(texts, size));
  }
}

TEST_CASE("bpe: of equally frequent pairs the numerically smallest is merged first") {
  const Vocabulary v = train_bpe(std::vector<std::string>{"zy", "ba", "bc", "xw"}, 256 + 3 + specials);
  CHECK(std::vector(v.tokens.begin() + 256, v.tokens.end()) == std::vector<std::string>{"ba", "bc", "xw"});
}

TEST_CASE("bpe: tokens and ids agree with other implementations") {
  const auto expected = fixture("bpe.json");
  const auto texts = expected["documents"].get<std::vector<std::string>>();
  std::vector<std::string> tokens;
  for (const auto& bytes : expected["tokens"]) {
    std::string& token = tokens.emplace_back();
    for (int byte : bytes) token += char(byte);
  }
  const Vocabulary v = train_bpe(texts, 256 + int64_t(tokens.size()) + specials);
  REQUIRE(std::vector(v.tokens.begin() + 256, v.tokens.end()) == tokens);
  const Tokenizer tokenizer(v);
  for (const auto& example : expected["cases"]) {
    INFO(example["text"]);
    CHECK(tokenizer.encode(example["text"].get<std::string>()) == example["ids"].get<std::vector<int32_t>>());
  }
}

TEST_CASE("bpe: the tokens do not depend on the number of threads or on the order of the texts") {
  std::mt19937_64 random(17);
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i) texts.push_back(random_text(random, "abcde  '\n12", 300));
  const auto before = threads();
  set_threads(1);
  const auto tokens = train_bpe(texts, 500).tokens;
  for (int count : {2, 5}) {
    set_threads(count);
    CHECK(train_bpe(texts, 500).tokens == tokens);
    std::reverse(texts.begin(), texts.end());
  }
  set_threads(before);
}

TEST_CASE("bpe: training stops when there is nothing left to merge, tells its progress, and refuses a vocabulary without bytes") {
  int64_t calls = 0;
  const Vocabulary v = train_bpe(std::vector<std::string>{"abc"}, 1000, [&](int64_t done, int64_t total) {
    CHECK(done == ++calls);
    CHECK(total == 1000 - 256 - specials);
  });
  CHECK(calls == 2);
  CHECK(v.size() == 256 + 2 + specials);
  CHECK(v.bos == "<|bos|>");
  CHECK(train_bpe(std::vector<std::string>{}, 265).tokens.size() == 256);
  REQUIRE_THROWS_AS(train_bpe(std::vector<std::string>{"abc"}, 264), InputError);
}

TEST_CASE("bpe: limits on the text count characters, and the document that exceeds the sum is the last") {
  const TextFolder folder;
  const auto path =
      folder.write("a.jsonl", "{\"text\":\"äöüß\"}\n{\"text\":\"xyz\"}\n{\"text\":\"abc\"}\n{\"text\":\"never\"}\n");
  const auto counts = [&](TextLimits limits) {
    std::map<std::string, int64_t> sorted;
    int64_t said = 0;
    const auto progress = [&](int64_t, int64_t characters) { said = characters; };
    const PieceCounts pieces = count_pieces(*open_documents(path), paper_pattern(), limits, progress);
    CHECK(said > 0);
    pieces.for_each([&](std::string_view piece, int64_t count) { sorted[std::string(piece)] += count; });
    CHECK(pieces.size() == sorted.size());
    return sorted;
  };
  CHECK(counts({}) == std::map<std::string, int64_t>{{"äöüß", 1}, {"xyz", 1}, {"abc", 1}, {"never", 1}});
  CHECK(counts({.document = 2}) == std::map<std::string, int64_t>{{"äö", 1}, {"xy", 1}, {"ab", 1}, {"ne", 1}});
  CHECK(counts({.document = 2, .total = 4}) == std::map<std::string, int64_t>{{"äö", 1}, {"xy", 1}, {"ab", 1}});
  CHECK(counts({.total = 3}) == std::map<std::string, int64_t>{{"äöüß", 1}});
}

TEST_CASE("bpe: a text read in parts has the pieces of the whole") {
  const TextFolder folder;
  std::mt19937_64 random(47);
  std::string text = "\xEF\xBB\xBF";
  for (int i = 0; i < 3000; ++i) text += utf8(U" \n\r!'abcdeé你12 \u3000"[size_t(random_below(random, 17))]);
  text += "\xFF end\n";
  const auto path = folder.write("a.txt", text);
  const auto counts = [&](size_t part, TextLimits limits) {
    std::map<std::string, int64_t> sorted;
    const auto reader = open_documents({path, path}, {.part_bytes = part});
    count_pieces(*reader, paper_pattern(), limits).for_each([&](std::string_view piece, int64_t count) {
      sorted[std::string(piece)] = count;
    });
    if (limits.document > 10'000) CHECK(reader->counts().replacements == 2);
    return sorted;
  };
  for (const TextLimits limits : {TextLimits{}, {.document = 100}, {.document = 1000, .total = 500}, {.total = 4000}})
    for (const size_t part : {1, 10, 100, 1000, 100'000}) {
      INFO(part);
      CHECK(counts(part, limits) == counts(0, limits));
    }
}

TEST_CASE("bpe: long texts are shared among threads without changing the counts") {
  std::mt19937_64 random(53);
  std::vector<std::string> texts{"", "a b", ""};
  while (texts[0].size() < 3'000'000) texts[0] += random_text(random, "abc \n", 1 + random_below(random, 30)) + "12 ";
  std::map<std::string, int64_t> expected, found;
  for (const std::string& text : texts)
    for_each_piece(paper_pattern(), text, [&](std::string_view piece) { ++expected[std::string(piece)]; });
  PieceCounts pieces(paper_pattern());
  for (const std::string& text : texts) pieces.add(std::span(&text, 1));
  pieces.for_each([&](std::string_view piece, int64_t count) { found[std::string(piece)] = count; });
  CHECK(found == expected);
}

TEST_CASE("bpe: a trie finds its words and nothing else") {
  std::mt19937_64 random(59);
  for (int round = 0; round < 50; ++round) {
    std::map<std::string, int32_t> places;
    std::vector<std::string> words;
    for (int64_t n = random_below(random, 2000); n > 0; --n) {
      std::string word;
      for (int64_t length = 1 + random_below(random, 6); length > 0; --length)
        word += char(random_below(random, round % 2 == 0 ? 256 : 3));
      if (places.emplace(word, int32_t(words.size())).second) words.push_back(word);
    }
    if (round % 3 == 0) words.insert(words.begin(), ""), words.insert(words.end(), "");
    const ByteTrie trie(words);
    const auto word_at = [&](const std::string& bytes) {
      const auto node = trie.find(bytes);
      return node == ByteTrie::none ? -1 : trie.word(node);
    };
    for (const auto& [word, place] : places) REQUIRE(word_at(word) == place + (round % 3 == 0));
    for (int i = 0; i < 2000; ++i) {
      const std::string other = random_text(random, std::string("\0\1\2", 3), random_below(random, 7));
      if (!places.contains(other)) REQUIRE(word_at(other) == -1);
    }
    const std::string text = random_text(random, std::string("\0\1\2\3", 4), ByteTrie::together + 6);
    const auto together = trie.follow_all(text);
    for (size_t place = 0; place < together.size(); ++place) {
      ByteTrie::Node alone = ByteTrie::root;
      for (size_t i = place; trie.child(alone, uint8_t(text[i])) != ByteTrie::none; ++i)
        alone = trie.child(alone, uint8_t(text[i]));
      REQUIRE(together[place] == alone);
    }
  }
}

TEST_CASE("bpe: a memo of pairs says what was found out, of vocabularies of every size") {
  std::mt19937_64 random(67);
  for (const size_t tokens : {1, 256, 300, 5000, 32759, 65535, 65536, 200'000, 1 << 21}) {
    const PairMemo memo(tokens);
    const auto copy = std::make_unique<PairMemo>(memo);
    const auto found_out = [](int32_t l, int32_t r) {
      return ((uint32_t(l) * 0x9E3779B1u ^ uint32_t(r) * 0x85EBCA6Bu) >> 15 & 1) != 0;
    };
    int64_t asked = 0;
    std::vector<std::pair<int32_t, int32_t>> pairs(20'000);
    for (auto& [left, right] : pairs)
      left = int32_t(random_below(random, int64_t(tokens))), right = int32_t(random_below(random, int64_t(tokens)));
    for (int round = 0; round < 2; ++round)
      for (const auto& [left, right] : pairs) {
        const auto find_out = [&, l = left, r = right] { return ++asked, found_out(l, r); };
        REQUIRE(memo.get(left, right, find_out) == found_out(left, right));
        REQUIRE(copy->get(left, right, [&, l = left, r = right] { return found_out(l, r); }) == found_out(left, right));
      }
    if (tokens >= 5000) CHECK(asked < int64_t(pairs.size()) * 3 / 2);  // most are remembered
  }
}

TEST_CASE("bpe: pieces are merged as the rule says, short and long, with trained and with arbitrary tokens") {
  std::mt19937_64 random(19);
  int descending = 0, unreachable = 0;
  for (int round = 0; round < 200; ++round) {
    const std::string alphabet = std::string("abc").substr(0, size_t(1 + round % 3));
    std::vector<std::string> tokens;
    if (round % 4 == 0) {
      tokens = train_bpe(std::vector<std::string>{random_text(random, alphabet, 200)}, 256 + 20 + specials).tokens;
    } else {  // tokens that no sequence of merges needs to reach, in any order, single bytes anywhere
      for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, char(byte));
      for (int i = 0; i < 30; ++i)
        if (auto token = random_text(random, alphabet, 2 + random_below(random, 4));
            std::find(tokens.begin(), tokens.end(), token) == tokens.end())
          tokens.push_back(token);
      std::shuffle(tokens.begin(), tokens.end(), random);
      if (round % 4 == 1) std::ranges::stable_sort(tokens, {}, &std::string::size);
      if (round % 4 == 2) tokens.insert(tokens.begin() + 100, 7, "");  // ids that are no token's
    }
    const Tokenizer tokenizer(Vocabulary{.tokens = tokens, .specials = paper_specials(tokens.size()), .bos = "<|bos|>"});
    for (size_t id = 0; id < tokens.size(); ++id) {
      if (tokens[id].size() < 2) continue;
      const auto [left, right] = tokenizer.encoder().split(int32_t(id));
      unreachable += !tokenizer.encoder().is_reachable(int32_t(id));
      descending +=
          (left > int32_t(id) && tokens[size_t(left)].size() > 1) || (right > int32_t(id) && tokens[size_t(right)].size() > 1);
      if (left >= 0) REQUIRE(tokens[size_t(left)] + tokens[size_t(right)] == tokens[id]);
    }
    for (int64_t length : {1, 2, 3, 10, 63, 64, 65, 66, 200, 301}) {
      const std::string piece = random_text(random, alphabet, length);
      INFO(piece);
      REQUIRE(tokenizer.encode(piece) == merge_slowly(tokens, piece));
    }
  }
  CHECK(descending > 100);
  CHECK(unreachable > 100);
}

TEST_CASE("bpe: every piece that a small vocabulary can be asked about") {
  // All pieces of up to nine of two letters, with vocabularies in which merges compete in every way that three or four can.
  std::mt19937_64 random(61);
  for (int round = 0; round < 150; ++round) {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, char(byte));
    for (const char* const pair : {"aa", "ab", "ba", "bb"})
      if (random_below(random, 2) == 0) tokens.emplace_back(pair);
    std::shuffle(tokens.begin() + 256, tokens.end(), random);
    for (int more = 0; more < 5; ++more) {
      const auto pick = [&] {
        return tokens[size_t(random_below(random, 3) == 0
                                 ? 'a' + random_below(random, 2)
                                 : 256 + random_below(random, std::max<int64_t>(1, int64_t(tokens.size()) - 256)))];
      };
      if (tokens.size() == 256) break;
      if (const std::string token = pick() + pick(); std::find(tokens.begin(), tokens.end(), token) == tokens.end())
        tokens.push_back(token);
    }
    const Tokenizer tokenizer(Vocabulary{.tokens = tokens});
    for (int length = 1; length <= 9; ++length)
      for (int bits = 0; bits < 1 << length; ++bits) {
        std::string piece;
        for (int i = 0; i < length; ++i) piece += bits >> i & 1 ? 'b' : 'a';
        if (tokenizer.encode(piece) != merge_slowly(tokens, piece)) {
          INFO(piece);
          REQUIRE(tokenizer.encode(piece) == merge_slowly(tokens, piece));
        }
      }
  }
}

TEST_CASE("bpe: a piece of a million letters is encoded in no time") {
  std::mt19937_64 random(23);
  const std::string text = random_text(random, "ab", 1'000'000);
  const Tokenizer tokenizer(train_bpe(std::vector<std::string>{text.substr(0, 5000)}, 400));
  CHECK(tokenizer.decode_bytes(tokenizer.encode(text)) == text);
}
