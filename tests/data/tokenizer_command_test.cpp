// kappa tokenizer, as its users meet it.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/bpe_trainer.h"
#include "data/tokenizer_file.h"
#include "tests/support/shell.h"

using namespace kappa;
using namespace kappa::test;
using Json = nlohmann::json;

namespace {

namespace fs = std::filesystem;

/// A folder with a tokenizer T and some texts.
class Desk : public Shell {
 public:
  Desk() {
    save_tokenizer(Tokenizer(train_bpe(texts(), 300)), *this / "T");
    std::string lines;
    for (const std::string& text : texts()) lines += Json{{"text", text}}.dump() + "\n";
    write("texts.jsonl", lines);
  }

  static std::vector<std::string> texts() {
    return {"the cat and the hat", "", "the <|bos|> cat's 1234 lives\n\n", "Größe 你好 😀 the end"};
  }

  std::vector<Json> lines(const std::string& text) const {
    std::vector<Json> all;
    for (size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1)
      all.push_back(Json::parse(text.substr(begin, text.find('\n', begin) - begin)));
    return all;
  }

  Words words(Words before, const Words& after) const {
    before.insert(before.begin(), "tokenizer");
    before.insert(before.end(), after.begin(), after.end());
    return before;
  }
};

}  // namespace

TEST_CASE("kappa tokenizer: texts to ids and back") {
  const Desk desk;
  const Tokenizer tokenizer = load_tokenizer(desk / "T");
  const Words from{"encode", "--tokenizer", desk / "T", desk / "texts.jsonl"};
  REQUIRE(desk.run(desk.words(from, {"--ids", desk / "ids.jsonl"})).code == 0);
  const auto ids = desk.lines(desk.read("ids.jsonl"));
  REQUIRE(ids.size() == 4);
  for (size_t i = 0; i < 4; ++i) CHECK(ids[i] == Json{{"ids", tokenizer.encode(Desk::texts()[i])}});
  CHECK(desk.read("ids.jsonl").find("{\"ids\": []}\n") != std::string::npos);

  const Result back = desk.run({"tokenizer", "decode", "--tokenizer", desk / "T", desk / "ids.jsonl"});
  CHECK(back.code == 0);
  CHECK(back.err.empty());
  std::string texts;
  for (const std::string& text : Desk::texts()) texts += "{\"text\": " + Json(text).dump() + "}\n";
  CHECK(back.out == texts);

  const auto with = desk.lines(desk.run(desk.words(from, {"--special-tokens", "--bos", "--threads", "2"})).out);
  REQUIRE(with.size() == 4);
  CHECK(with[1] == Json{{"ids", {tokenizer.bos_id()}}});
  std::vector<int32_t> expected{tokenizer.bos_id()};
  tokenizer.encode_with_specials(Desk::texts()[2], expected);
  CHECK(with[2] == Json{{"ids", expected}});
}

TEST_CASE("kappa tokenizer: a file of text is one document, and what is not UTF-8 is replaced and counted") {
  const Desk desk;
  const Tokenizer tokenizer = load_tokenizer(desk / "T");
  desk.write("a.txt", "the\xFF cat\xE2\x82 the");
  const Result r = desk.run({"tokenizer", "encode", "--tokenizer", desk / "T", desk / "a.txt"});
  CHECK(r.code == 0);
  CHECK(desk.lines(r.out) == std::vector<Json>{{{"ids", tokenizer.encode("the\xEF\xBF\xBD cat\xEF\xBF\xBD the")}}});
  CHECK(r.err.find("2 ill-formed parts of UTF-8 replaced") != std::string::npos);
  // A byte of a character alone, as an id.
  desk.write("half.jsonl", "{\"ids\": [97, 255, 98]}\n\n{\"ids\": []}\n");
  const Result half = desk.run({"tokenizer", "decode", "--tokenizer", desk / "T", desk / "half.jsonl"});
  CHECK(half.out ==
        "{\"text\": \"a\xEF\xBF\xBD"
        "b\"}\n{\"text\": \"\"}\n");
  CHECK(half.err.find("half.jsonl: 1 ill-formed parts") != std::string::npos);
}

TEST_CASE("kappa tokenizer: train writes what the trainer learns, in all forms") {
  const Desk desk;
  const Result r = desk.run({"tokenizer", "train", "--vocab-size", "290", "--out", desk / "new", desk / "texts.jsonl"});
  INFO(r.err);
  REQUIRE(r.code == 0);
  CHECK(r.out.empty());
  CHECK(r.err.find("new: 290 ids from ") != std::string::npos);
  const Vocabulary expected = train_bpe(Desk::texts(), 290);
  for (const char* const name : {"new", "new.tokenizer.json"}) {
    const Tokenizer loaded = load_tokenizer(desk / name);
    CHECK(loaded.vocabulary().tokens == expected.tokens);
    CHECK(loaded.vocabulary().specials == expected.specials);
  }
  CHECK(Json::parse(desk.read("new.token_bytes.json")).size() == 290);

  // Limits, and several files.
  desk.write("b.txt", "aaaa bbbb");
  REQUIRE(desk.run({"tokenizer", "train", "--vocab-size", "290", "--doc-cap", "4", "--max-chars", "3", "--out", desk / "few",
                    desk / "b.txt", desk / "texts.jsonl"})
              .code == 0);
  CHECK(load_tokenizer(desk / "few").vocabulary().tokens == train_bpe(std::vector<std::string>{"aaaa"}, 290).tokens);
}

TEST_CASE("kappa tokenizer: import brings other programs' files") {
  const Desk desk;
  const fs::path from = source_dir() / "tests/data/fixtures/tokenizer";
  for (const char* const name : {"protocol4.pkl", "split.json"}) {
    const Result r = desk.run({"tokenizer", "import", from / name, "--out", desk / "imported"});
    INFO(r.err);
    REQUIRE(r.code == 0);
    CHECK(load_tokenizer(desk / "imported").vocabulary().tokens == load_tokenizer(from / name).vocabulary().tokens);
  }
  // Where one of the files cannot be written, none is.
  fs::create_directory(desk / "half.json");
  desk.write("half.token_bytes.json", "before");
  desk.check_refused({"tokenizer", "import", from / "split.json", "--out", desk / "half"},
                     {"half.json: expected a name for a file, found a folder"});
  CHECK(read_file(desk / "half.token_bytes.json") == "before");
  CHECK_FALSE(fs::exists(desk / "half.tiktoken"));
}

TEST_CASE("kappa tokenizer: inspect shows pieces and tokens") {
  const Desk desk;
  const Words inspect{"tokenizer", "inspect", "--tokenizer", desk / "T", "--text", "the cats\n"};
  const Result r = desk.run(inspect);
  CHECK(r.code == 0);
  for (const char* const part : {"9 special ones", "291 <|bos|>, which begins a document", "that of the paper",
                                 "9 bytes, 3 pieces", "\n  \"\\n\"                  10\n"}) {
    INFO(part << " in " << r.out);
    CHECK(r.out.find(part) != std::string::npos);
  }
  CHECK(r.out.find("‖") != std::string::npos);
  Words colored = inspect;
  colored.insert(colored.end(), {"--color", "always"});
  CHECK(desk.run(colored).out.find("\x1b[30;46m") != std::string::npos);
}

TEST_CASE("kappa tokenizer: what is wrong is said in one line, and nothing is written") {
  const Desk desk;
  desk.write("bad.jsonl", "{\"ids\": [1]}\n{\"ids\": [-1]}\n");
  desk.write("worse.jsonl", "[1, 2]\n");
  desk.write("gap.json", "x");
  const std::string t = desk / "T";
  desk.check_refused({"tokenizer", "encode", "--tokenizer", desk / "none", desk / "texts.jsonl"}, {"none.tiktoken"});
  desk.check_refused({"tokenizer", "encode", "--tokenizer", t, desk / "none.txt", "--ids", desk / "out"},
                     {"none.txt", "no such file"});
  desk.check_refused({"tokenizer", "decode", "--tokenizer", t, desk / "bad.jsonl", "--out", desk / "out"},
                     {"bad.jsonl:2", "numbers from 0 to 299", "found -1"});
  desk.check_refused({"tokenizer", "decode", "--tokenizer", t, desk / "worse.jsonl"}, {"worse.jsonl:1", "[1, 2]"});
  desk.check_refused({"tokenizer", "train", "--vocab-size", "264", "--out", desk / "out", desk / "texts.jsonl"},
                     {"--vocab-size", "at least 265", "found 264"});
  desk.check_refused({"tokenizer", "train", "--out", desk / "no/out", desk / "texts.jsonl"}, {"no/out.tiktoken"});
  desk.check_refused({"tokenizer", "train", "--out", desk / "out", desk / "none"}, {"none", "no such file"});
  desk.check_refused({"tokenizer", "import", desk / "gap.json", "--out", desk / "out"}, {"gap.json", "not JSON"});
  desk.check_refused({"tokenizer"}, {"subcommand"});
}
