// Tokenizers as other programs write them.

#include "data/tokenizer/formats.h"
#include "data/tokenizer_file.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;
using Json = nlohmann::json;

namespace {

namespace fs = std::filesystem;

const fs::path folder = source_dir() / "tests/data/fixtures/tokenizer";

std::string text_of(const Json& codes) {
  std::u32string text;
  for (const uint32_t code : codes) text += char32_t(code);
  return utf8(text);
}

void check_samples(const Tokenizer& tokenizer, const Json& samples) {
  REQUIRE(samples.size() >= 10);
  for (const auto& sample : samples) {
    const std::string text = text_of(sample["text"]);
    INFO(text);
    const auto ids = sample["ids"].get<std::vector<int32_t>>();
    CHECK(tokenizer.encode(text) == ids);
    CHECK(tokenizer.decode(ids) == text);
  }
}

/// What is said against a changed Hugging Face file; "" if it is accepted.
template <class Change>
std::string complaint_about_json(Change change) {
  Json root = Json::parse(read_file(folder / "split.json"));
  change(root);
  return complaint([&] { read_hugging_face(root.dump(), "t.json"); });
}

std::string complaint_about_pickle(const std::string& bytes) {
  return complaint([&] { read_pickled_encoding(bytes, "t.pkl"); });
}

}  // namespace

TEST_CASE("paper tokenizer: every vector, with the tokens that occur in them") {
  const Json paper = fixture("tokenizer/paper.json");
  Vocabulary v;
  for (const auto& row : paper["tokens"]) {
    std::string bytes;
    for (const int byte : row[1]) bytes += char(byte);
    place_token(v.tokens, bytes, row[0], 32759, "paper");
  }
  v.tokens.resize(32759);
  v.specials = paper_specials(v.tokens.size());
  v.bos = "<|bos|>";
  for (const auto& [text, id] : v.specials) CHECK(paper["special_tokens"][text] == id);
  const Tokenizer tokenizer(v);
  CHECK(tokenizer.size() == 32768);
  REQUIRE(paper["vectors"].size() == 54);
  for (const auto& vector : paper["vectors"]) {
    const std::string text = text_of(vector["text"]);
    std::vector<size_t> pieces;
    for_each_piece(paper_pattern(), text, [&](std::string_view piece) { pieces.push_back(piece.size()); });
    INFO(text);
    CHECK(pieces == vector["pieces"].get<std::vector<size_t>>());
    CHECK(tokenizer.encode(text) == vector["ids"].get<std::vector<int32_t>>());
  }
}

TEST_CASE("hugging face: files of the package tokenizers give its ids, and are written so that they give them again") {
  const Json expected = fixture("tokenizer/expected.json");
  for (const char* const name : {"split.json", "byte_level.json"}) {
    INFO(name);
    const Tokenizer tokenizer = load_tokenizer(folder / name);
    check_samples(tokenizer, expected[name]);
    CHECK(tokenizer.vocabulary().bos == "<s>");
    CHECK(tokenizer.vocabulary().pattern->name == (std::string(name) == "split.json" ? "the paper" : "GPT-2"));
    CHECK(tokenizer.vocabulary().specials == std::vector<Special>{{"<s>", 0}, {"<|endoftext|>", 1}});

    const TextFolder copy;
    save_for_hugging_face(tokenizer, copy / "t");
    save_tokenizer(tokenizer, copy / "t");
    for (const char* const again : {"t.tokenizer.json", "t", "t.tiktoken", "t.json"}) {
      const Tokenizer loaded = load_tokenizer(copy / again);
      CHECK(loaded.vocabulary().tokens == tokenizer.vocabulary().tokens);
      CHECK(loaded.vocabulary().specials == tokenizer.vocabulary().specials);
      check_samples(loaded, expected[name]);
    }
    // The merges, too, are those of the file that was read.
    const auto merges = [](const fs::path& path) {
      const Json file = Json::parse(read_file(path));
      std::vector<std::string> all;
      for (const auto& merge : file["model"]["merges"])
        all.push_back(merge.is_string() ? merge.get<std::string>()
                                        : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
      return all;
    };
    CHECK(merges(copy / "t.tokenizer.json") == merges(folder / name));
  }
}

TEST_CASE("hugging face: what is written means there what it means here") {
  // Its engine reads {1,3}+ as any number of digits, and numbers an added token that is not in the vocabulary itself.
  for (const SplitPattern& pattern : split_patterns()) {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, char(byte));
    const Vocabulary v{.pattern = &pattern, .tokens = tokens, .specials = {{"<a>", 260}, {"<b>", 300}}, .bos = "<a>"};
    const Json file = Json::parse(write_hugging_face(v, BpeEncoder(tokens)));
    CHECK(file["model"]["vocab"]["<a>"] == 260);
    CHECK(file["model"]["vocab"]["<b>"] == 300);
    const auto regex = file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"].get<std::string>();
    CHECK_FALSE(contains(regex, "3}+"));
    const SplitPattern* const again = find_pattern(regex);
    REQUIRE(again != nullptr);
    CHECK(again->piece_end == pattern.piece_end);
  }
}

TEST_CASE("hugging face: what would change ids is refused, by its name") {
  size_t merges = 0;
  REQUIRE(complaint_about_json([&](Json& j) { merges = j["model"]["merges"].size(); }).empty());
  CHECK(complaint([] { read_hugging_face("{\"a\": 1e9999}", "t.json"); }).starts_with("t.json: not JSON: "));
  const auto refused = [](auto change, const std::string& message) {
    CHECK(complaint_about_json(change) == "t.json: " + message);
  };
  refused(
      [](Json& j) {
        j["normalizer"] = {{"type", "NFC"}};
      },
      R"(normalizer: expected none, which alone leaves texts as they are; found {"type":"NFC"})");
  refused([](Json& j) { j.erase("pre_tokenizer"); }, "pre_tokenizer is missing");
  refused(
      [](Json& j) {
        j["pre_tokenizer"] = {{"type", "Whitespace"}};
      },
      "pre_tokenizer: expected ByteLevel, or a Sequence of Split and ByteLevel");
  refused([](Json& j) { j["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true; },
          "pre_tokenizer: add_prefix_space: expected false, found true");
  refused([](Json& j) { j["pre_tokenizer"]["pretokenizers"][1]["use_regex"] = true; },
          "pre_tokenizer: use_regex: expected false, found true");
  refused([](Json& j) { j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed"; },
          "pre_tokenizer: behavior: expected Isolated, found Removed");
  refused(
      [](Json& j) {
        j["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"String", " "}};
      },
      "pre_tokenizer: expected a Regex to split at, found object");
  refused([](Json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\w+"; },
          "pre_tokenizer: there is no scanner for \\w+ (there are those of the paper, GPT-2, cl100k, Llama 3, o200k)");
  refused([](Json& j) { j["model"]["type"] = "Unigram"; }, "model: expected BPE, found \"Unigram\"");
  refused([](Json& j) { j["model"]["dropout"] = 0.1; },
          "dropout: expected none, which alone leaves texts as they are; found 0.1");
  refused([](Json& j) { j["model"]["byte_fallback"] = true; },
          "byte_fallback: expected none, which alone leaves texts as they are; found true");
  refused([](Json& j) { j["model"]["vocab"]["he y"] = 999; },
          "model.vocab: he y: he y is not bytes as byte-level BPE writes them");
  refused([](Json& j) { j["model"]["vocab"]["the"] = -1; }, "model.vocab: the: expected an id from 0 to 2097151, found -1");
  CHECK(complaint_about_json([](Json& j) {
          j["model"]["vocab"]["the"] = 200000;
        }).starts_with("t.json: model.vocab: the: expected an id below "));
  refused([](Json& j) { j["model"]["vocab"].erase("A"); }, "no token for the single byte 0x41");
  refused([](Json& j) { j["added_tokens"][0]["special"] = false; },
          "added_tokens: <s> is not special, so it would be found in every text; that is not supported");
  refused([](Json& j) { j["added_tokens"][0]["lstrip"] = true; },
          "lstrip: expected none, which alone leaves texts as they are; found true");
  refused([](Json& j) { j["added_tokens"][1]["id"] = 0; }, "added_tokens: <s> and <|endoftext|> have the same id 0");
  refused([](Json& j) { j["model"]["merges"][3] = "th e x"; }, "model.merges[3]: e x is not bytes as byte-level BPE writes them");
  refused([](Json& j) { j["model"]["merges"][3] = "the"; }, "model.merges[3]: expected two tokens, found the");
  refused([](Json& j) { j["model"]["merges"][3] = Json::array({"q", "q"}); }, "model.merges[3]: qq is not in model.vocab");
  refused([](Json& j) { j["model"]["merges"].push_back(j["model"]["merges"][0]); },
          fmt::format("model.merges[{}]: expected each merge once, found that of [0] again", merges));
  CHECK(contains(
      complaint_about_json([](Json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\p{N}{1,3}+| "; }),
      "expected no + after a count in the Regex, which in this format repeats it without end"));
  CHECK(contains(complaint_about_json([](Json& j) { j["model"]["merges"].erase(5); }), "which is not in the list"));
  CHECK(contains(complaint_about_json([](Json& j) { std::swap(j["model"]["merges"][5], j["model"]["merges"][6]); }),
                 "only merges in the order of ids are supported"));
  CHECK(contains(complaint_about_json([](Json& j) { j["model"]["vocab"]["qqq"] = 400; }),
                 "no merges lead to qqq without ignore_merges"));
  CHECK(complaint_about_json([](Json& j) {
          j["model"]["vocab"]["qqq"] = 400;
          j["model"]["ignore_merges"] = true;
        }).empty());
  CHECK(contains(complaint_about_json([](Json& j) { j["pre_tokenizer"]["type"] = 3; }), "type: expected a string, found 3"));
  CHECK(contains(complaint_about_json([](Json& j) { j["added_tokens"][0]["special"] = "yes"; }),
                 "expected a value of another type"));
}

TEST_CASE("pickle: Encodings as Python writes them") {
  const Json expected = fixture("tokenizer/expected.json");
  for (const int protocol : {3, 4, 5}) {
    const Tokenizer tokenizer = load_tokenizer(folder / fmt::format("protocol{}.pkl", protocol));
    const Vocabulary& v = tokenizer.vocabulary();
    check_samples(tokenizer, expected["pickle"]);
    CHECK(v.name == "small");
    CHECK(v.pattern == &paper_pattern());
    CHECK(v.bos == "<|bos|>");
    CHECK(tokenizer.special_id("<|endoftext|>") == int32_t(v.tokens.size()) + 3);
  }
  CHECK(complaint([] {
          load_tokenizer(folder / "protocol2.pkl");
        }).ends_with("byte 0: expected pickle protocol 3, 4 or 5, found 2"));
}

TEST_CASE("pickle: nothing is imported, called or believed") {
  const std::string good = read_file(folder / "protocol4.pkl");
  REQUIRE(complaint_about_pickle(good).empty());
  // os.system("true"), as a pickle that runs it.
  CHECK(complaint_about_pickle(std::string("\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", 27)) ==
        "t.pkl: byte 17: expected the class tiktoken.core.Encoding, found posix.system");
  CHECK(complaint_about_pickle("\x80\x03"
                               "cbuiltins\neval\n.") ==
        "t.pkl: byte 2: expected the class tiktoken.core.Encoding, found builtins.eval");
  CHECK(complaint_about_pickle("\x80\x03"
                               "ctiktoken.core\nEncoding\n)R.") ==
        "t.pkl: byte 27: the opcode 0x52 is not one that a tiktoken Encoding needs; nothing is executed");
  CHECK(complaint_about_pickle("\x80\x03"
                               "ctiktoken.core\nEncoding\n)\x81.") ==
        "t.pkl: byte 28: expected one tiktoken Encoding, as in a pickled tiktoken Encoding");
  CHECK(complaint_about_pickle(std::string("\x80\x03"
                                           "ctiktoken.core\nEncoding\n)\x81X\x04\0\0\0gpt2b.",
                                           38)) == "t.pkl: byte 37: the Encoding is only named, gpt2: tiktoken would look it up");
  CHECK(complaint_about_pickle(std::string("\x80\x03"
                                           "B\xff\xff\xff\x7f",
                                           7)) == "t.pkl: byte 2: the file ends within 2147483647 bytes");
  CHECK(complaint_about_pickle(std::string("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff", 11)) ==
        "t.pkl: byte 2: the file ends within 18446744073709551615 bytes");
  CHECK(complaint_about_pickle("\x80\x03h\x07.") == "t.pkl: byte 2: value 7 was never remembered");
  CHECK(complaint_about_pickle("\x80\x03N") == "t.pkl: byte 3: the file ends within 1 bytes");
  CHECK(complaint_about_pickle("\x80\x03N..") == "t.pkl: byte 3: expected the end of the file");
  CHECK(complaint_about_pickle("\x80\x03" + std::string(100'000, '(') + ".") ==
        "t.pkl: byte 65538: more than 65536 values on the stack");
  CHECK(complaint_about_pickle("\x80\x03" + std::string(20, '}') + ".") == "t.pkl: byte 18: more dicts than an Encoding has");
  CHECK(contains(complaint_about_pickle(good + "."), "expected the end of the file"));
  for (size_t cut = 0; cut < good.size(); ++cut) REQUIRE_FALSE(complaint_about_pickle(good.substr(0, cut)).empty());
}
