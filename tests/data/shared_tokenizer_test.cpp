// The paper's own tokenizer, which is too large to be kept here: KAPPA_SHARED names a folder with tokenizer/kappa32k.tiktoken,
// kappa32k.json, vectors.json and token_bytes.json.

#include "data/tokenizer_file.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

TEST_CASE("the paper's tokenizer: every vector, and the bytes of every token") {
  const auto shared = shared_folder("the paper's tokenizer");
  if (!shared) return;
  const auto folder = *shared / "tokenizer";
  const auto json = [&](const char* name) { return nlohmann::json::parse(read_file(folder / name)); };

  const Tokenizer tokenizer = load_tokenizer(folder / "kappa32k");
  CHECK(tokenizer.size() == 32768);
  CHECK(tokenizer.bos_id() == 32759);
  CHECK(tokenizer.token_bytes() == json("token_bytes.json").get<std::vector<int32_t>>());

  const auto vectors = json("vectors.json")["vectors"];
  REQUIRE(vectors.size() == 54);
  for (const auto& vector : vectors) {
    const auto text = vector["text"].get<std::string>();
    const auto ids = vector["ids"].get<std::vector<int32_t>>();
    INFO(vector["text"].dump());
    CHECK(tokenizer.encode(text) == ids);
    CHECK(tokenizer.decode(ids) == text);
    std::vector<std::string> pieces;
    for_each_piece(paper_pattern(), text, [&](std::string_view piece) { pieces.emplace_back(piece); });
    CHECK(pieces == vector["pieces"].get<std::vector<std::string>>());
  }

  // Saved again, it is the same file.
  const TextFolder copy;
  save_tokenizer(tokenizer, copy / "kappa32k");
  CHECK(read_file(copy / "kappa32k.tiktoken") == read_file(folder / "kappa32k.tiktoken"));
  for (const char* key : {"pattern", "special_tokens", "n_vocab", "n_mergeable", "bos", "bos_id", "name"})
    CHECK(nlohmann::json::parse(read_file(copy / "kappa32k.json"))[key] == json("kappa32k.json")[key]);
}
