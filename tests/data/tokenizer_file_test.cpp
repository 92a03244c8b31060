#include "data/tokenizer_file.h"

#include <fmt/format.h>

#include "data/bpe_trainer.h"
#include "data/tokenizer/base64.h"
#include "engine/core/error.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;
using Json = nlohmann::ordered_json;

namespace {

Tokenizer small() { return Tokenizer(train_bpe(std::vector<std::string>{"one two one two three € three € three"}, 274)); }

bool same(const Vocabulary& a, const Vocabulary& b) {
  return a.tokens == b.tokens && a.specials == b.specials && a.bos == b.bos && a.pattern == b.pattern && a.name == b.name;
}

/// What is said of T.tiktoken and T.json with these contents; "" if they are accepted.
std::string complaint_about(const std::string& tokens, const std::string& description) {
  const TextFolder folder;
  folder.write("t.tiktoken", tokens);
  if (!description.empty()) folder.write("t.json", description);
  std::string message = complaint([&] { load_tokenizer(folder / "t"); });
  if (const size_t at = message.find("/t."); at != std::string::npos) message.erase(0, at + 1);  // without the folder
  return message;
}

}  // namespace

TEST_CASE("base64: the vectors of RFC 4648, and bytes survive") {
  const std::string text = "foobar", encoded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (size_t n = 0; n <= text.size(); ++n) CHECK(base64_encode(text.substr(0, n)) == encoded[n]);
  std::mt19937_64 random(37);
  for (int round = 0; round < 1000; ++round) {
    std::string bytes;
    for (int64_t n = random_below(random, 20); n > 0; --n) bytes += char(random());
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
  }
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z=g=", "Zg==Zg==", "Zm 9", "Zm9\n", "====", "Zm9-"}) {
    INFO(bad);
    CHECK_FALSE(base64_decode(bad).has_value());
  }
}

TEST_CASE("tokenizer file: what is saved is loaded") {
  const TextFolder folder;
  Vocabulary v = small().vocabulary();
  v.name = "mine";
  v.specials = {{"<|x|>", int32_t(v.tokens.size())}, {"<|start|>", int32_t(v.tokens.size()) + 5}};
  v.bos = "<|start|>";
  const Tokenizer saved(v);
  save_tokenizer(saved, folder / "t.tiktoken");
  std::string notice;
  for (const char* name : {"t", "t.tiktoken"}) {
    const Tokenizer loaded = load_tokenizer(folder / name, &notice);
    CHECK(same(loaded.vocabulary(), saved.vocabulary()));
    CHECK(loaded.bos_id() == saved.bos_id());
    CHECK(loaded.encode("three one € two") == saved.encode("three one € two"));
  }
  CHECK(notice.empty());
  CHECK(Json::parse(read_file(folder / "t.token_bytes.json")).get<std::vector<int32_t>>() == saved.token_bytes());
  const Json description = Json::parse(read_file(folder / "t.json"));
  CHECK(description["n_vocab"] == saved.size());
  CHECK(description["special_tokens"]["<|start|>"] == saved.bos_id());
  CHECK(read_file(folder / "t.tiktoken").starts_with("AA== 0\nAQ== 1\n"));
  CHECK_FALSE(std::filesystem::exists(folder / "t.tiktoken.tmp"));
}

TEST_CASE("tokenizer file: without a description the pattern and specials are the paper's, and that is said") {
  const TextFolder folder;
  save_tokenizer(small(), folder / "t");
  std::filesystem::remove(folder / "t.json");
  std::string notice;
  const Tokenizer loaded = load_tokenizer(folder / "t", &notice);
  CHECK(same(loaded.vocabulary(), small().vocabulary()));
  CHECK(contains(notice, "t.json"));
  CHECK(notice.find('\n') == std::string::npos);
}

TEST_CASE("tokenizer file: lines may come in any order") {
  std::vector<std::string> lines;
  for (int byte = 0; byte < 256; ++byte)
    lines.push_back(fmt::format("{} {}\n", base64_encode(std::string(1, char(byte))), 255 - byte));
  std::mt19937_64 random(41);
  std::shuffle(lines.begin(), lines.end(), random);
  std::string text;
  for (const auto& line : lines) text += line;
  const TextFolder folder;
  folder.write("t.tiktoken", text + "\n");
  CHECK(load_tokenizer(folder / "t").encode("A") == std::vector<int32_t>{255 - 'A'});
}

TEST_CASE("tokenizer file: what is wrong is named with its file and line") {
  const TextFolder folder;
  save_tokenizer(small(), folder / "t");
  const std::string tokens = read_file(folder / "t.tiktoken");
  const auto with = [&](const std::string& old_part, const std::string& new_part) {
    std::string changed = tokens;
    const size_t at = changed.find(old_part);
    REQUIRE(at != std::string::npos);
    return changed.replace(at, old_part.size(), new_part);
  };
  REQUIRE(complaint_about(tokens, "").empty());
  REQUIRE(complaint_about(with("AQ== 1\n", "AQ== 1\r\n"), "").empty());
  CHECK(complaint_about(with("AQ== 1\n", "AR== 1\n"), "") ==
        "t.tiktoken:2: expected the base64 of at least one byte, found \"AR==\"");
  CHECK(complaint_about(with("AQ== 1\n", " 1\n"), "") == "t.tiktoken:2: expected the base64 of at least one byte, found \"\"");
  CHECK(complaint_about(with("AQ== 1\n", "AQ==\n"), "") == "t.tiktoken:2: expected base64, a space and an id, found \"AQ==\"");
  for (const char* id : {"", "x", "-1", "+1", "1 ", "1\r\r", "0x1", "99999999999999999999"}) {
    INFO(id);
    CHECK(complaint_about(with("AQ== 1\n", "AQ== " + std::string(id) + "\n"), "")
              .starts_with("t.tiktoken:2: expected an id after the space"));
  }
  CHECK(complaint_about(with("AQ== 1\n", "AQ== 400\n"), "").empty());  // a gap
  CHECK(complaint_about(with("AQ== 1\n", "AQ== 3000000\n"), "") ==
        "t.tiktoken:2: expected an id from 0 to 2097151, found 3000000");
  const std::string wide = with("AQ== 1\n", "AQ== 200000\n");
  CHECK(complaint_about(wide, "") == fmt::format("t.tiktoken:2: expected an id below {}, as a token takes at least a byte of the "
                                                 "file, found 200000",
                                                 wide.size()));
  CHECK(complaint_about(with("AQ== 1\n", "AQ== 0\n"), "") == "t.tiktoken:2: the id 0 is there twice");
  CHECK(complaint_about(with("AQ== 1\n", "AA== 1\n"), "") == "t.tiktoken: tokens 0 and 1 are both ?");
  CHECK(complaint_about(with("AQ== 1\n", "AQE= 1\n"), "") == "t.tiktoken: no token for the single byte 0x01");
  CHECK(complaint_about("", "") == "t.tiktoken: expected tokens, found none");
  REQUIRE_THROWS_AS(load_tokenizer(folder / "none"), InputError);
  REQUIRE_THROWS_AS(load_tokenizer(folder / ""), InputError);
}

TEST_CASE("tokenizer file: what is wrong in the description is named with its key") {
  const TextFolder folder;
  save_tokenizer(small(), folder / "t");
  const std::string tokens = read_file(folder / "t.tiktoken"), good = read_file(folder / "t.json");
  const auto changed = [&](auto change) {
    Json description = Json::parse(good);
    change(description);
    return complaint_about(tokens, description.dump());
  };
  REQUIRE(complaint_about(tokens, good).empty());
  CHECK(changed([](Json& d) { d["more"] = "is allowed"; }).empty());
  CHECK(complaint_about(tokens, "{\"name\": ").starts_with("t.json: not JSON: "));
  CHECK(complaint_about(tokens, "[]") == "t.json: expected a JSON object, found array");
  CHECK(complaint_about(tokens, "{\"pattern\": 1, \"pattern\": 2}") == "t.json: the key pattern is there twice");
  CHECK(changed([](Json& d) { d["pattern"] = R"(\w+)"; }) ==
        R"(t.json: pattern: there is no scanner for \w+ (there are those of the paper, GPT-2, cl100k, Llama 3, o200k))");
  CHECK(changed([](Json& d) { d["pattern"] = 3; }) == "t.json: pattern: expected a string, found 3");
  CHECK(changed([](Json& d) { d["pattern"] = Json::array({1}); }) == "t.json: pattern: expected a string, found array");
  for (const char* key : {"pattern", "n_vocab", "n_mergeable", "bos", "bos_id"})
    CHECK(changed([&](Json& d) { d.erase(key); }) == fmt::format("t.json: {} is missing", key));
  CHECK(changed([](Json& d) { d.erase("special_tokens"); }) == "t.json: special_tokens: expected an object of texts and ids");
  CHECK(changed([](Json& d) { d["n_vocab"] = 281; }) ==
        "t.json: n_vocab: expected 274 by the tokens and special tokens, found 281");
  CHECK(changed([](Json& d) { d["n_mergeable"] = 3; }) ==
        "t.json: n_mergeable: expected 265 by the tokens and special tokens, found 3");
  CHECK(changed([](Json& d) { d["bos_id"] = 0; }) == "t.json: bos_id: expected 265 by the tokens and special tokens, found 0");
  CHECK(changed([](Json& d) { d["bos"] = "<|eos|>"; }) == "t.json: the BOS <|eos|> is not one of the special tokens");
  CHECK(changed([](Json& d) { d["special_tokens"]["<|bos|>"] = 5; }) ==
        "t.json: the special token <|bos|> has the id 5, which is ?'s");
  CHECK(changed([](Json& d) { d["special_tokens"]["<|user_start|>"] = 265; }) ==
        "t.json: special_tokens: <|bos|> and <|user_start|> have the same id 265");
  CHECK(changed([](Json& d) { d["bos"] = nullptr; }) ==
        "t.json: bos_id: expected null by the tokens and special tokens, found 265");
  CHECK(changed([](Json& d) { d["bos"] = nullptr, d["bos_id"] = nullptr; }).empty());
  CHECK(changed([](Json& d) {
          d["special_tokens"]["<|bos|>"] = "x";
        }).starts_with("t.json: special_tokens: <|bos|>: expected an id"));
}

TEST_CASE("tokenizer file: damaged files give a complaint, not a crash") {
  const TextFolder folder;
  save_tokenizer(small(), folder / "t");
  const std::string tokens = read_file(folder / "t.tiktoken"), description = read_file(folder / "t.json");
  std::mt19937_64 random(43);
  const auto damaged = [&](std::string text) {
    for (int64_t n = 1 + random_below(random, 4); n > 0 && !text.empty(); --n) {
      const auto at = size_t(random_below(random, int64_t(text.size())));
      const int64_t kind = random_below(random, 4);
      if (kind == 0) text[at] = char(random());
      if (kind == 1) text.erase(at, size_t(random_below(random, 20)));
      if (kind == 2) text.insert(at, text.substr(size_t(random_below(random, int64_t(text.size()))), 10));
      if (kind == 3) text.resize(at);
    }
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    const std::string message =
        complaint_about(round % 2 ? damaged(tokens) : tokens, round % 2 ? description : damaged(description));
    CHECK(message.find('\n') == std::string::npos);
  }
  CHECK_FALSE(complaint_about(tokens, std::string(100000, '[')).empty());
  CHECK_FALSE(complaint_about(tokens, "{\"pattern\":" + std::string(100000, '[') + std::string(100000, ']') + "}").empty());
}
