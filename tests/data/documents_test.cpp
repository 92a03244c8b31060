#include "data/documents.h"

#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;
using Texts = std::vector<std::string>;

namespace {

Texts read_all(DocumentReader& reader) {
  Texts texts;
  for (std::string text; reader.next(text);) texts.push_back(text);
  return texts;
}

Texts read_all(const std::filesystem::path& path) { return read_all(*open_documents(path)); }

std::string complaint_about(const std::filesystem::path& path) {
  return complaint([&] { read_all(path); });
}

}  // namespace

TEST_CASE("documents: a line of JSON is a document") {
  const TextFolder folder;
  const auto path = folder.write(
      "a.jsonl",
      "{\"text\": \"one\"}\n{\"id\": [1, {\"text\": 2}], \"text\": \"tw\\u00f6\\n\"}\r\n\n  \n{\"text\":\"\\ud83d\\ude00\"}\n"
      "{\"text\": \"\"}\n{\"text\": 1, \"more\": [\"text\", {\"text\": 3}], \"text\": \"last\"}");
  CHECK(read_all(path) == Texts{"one", "twö\n", "😀", "", "last"});
}

TEST_CASE("documents: what is wrong in a line is named with its file and line") {
  const TextFolder folder;
  const auto said = [&](const std::string& line) {
    const auto path = folder.write("a.jsonl", "{\"text\": \"good\"}\n\n" + line + "\n{\"text\": \"good\"}\n");
    const std::string message = complaint_about(path), where = path.string() + ":3: ";
    CHECK(message.starts_with(where));
    CHECK_FALSE(contains(message, "\n"));
    return message.substr(std::min(where.size(), message.size()));
  };
  CHECK(said("{\"text\": ").starts_with("not JSON: column 10: "));
  CHECK(said("{\"text\": \"\xFF\"}").starts_with("not JSON: "));
  CHECK(said("{\"text\": \"\\ud80\"}").starts_with("not JSON: "));
  CHECK(said("[1]") == "expected a JSON object, found array");
  CHECK(said("{}") == "the key text is missing");
  CHECK(said("{\"text\": null}") == "text: expected a string, found null");
  CHECK(said("{\"text\": 1e999}").starts_with("not JSON: "));
  CHECK(said("{\"text\": {\"text\": \"inner\"}}") == "text: expected a string, found object");
  CHECK(said("{\"body\": {\"text\": \"inner\"}}") == "the key text is missing");
  CHECK(said(std::string(200000, '[')).starts_with("not JSON: "));
  CHECK(said(fmt::format("{{\"text\": {:[<200000}{:]<200000}}}", "", "")) == "text: expected a string, found array");
}

TEST_CASE("documents: a UTF-16 surrogate without its partner is replaced, and counted") {
  const TextFolder folder;
  const auto reader =
      open_documents(folder.write("a.jsonl", R"({"text": "x\ud83dy \ud83d\ude00 \\ud83d \\\ude00 \uD83d\uD83D\uDe00"})"));
  CHECK(read_all(*reader) == Texts{"x\uFFFDy \U0001F600 \\ud83d \\\uFFFD \uFFFD\U0001F600"});
  CHECK(reader->counts().replacements == 3);
}

TEST_CASE("documents: any other file is one document of plain text, repaired where it is not UTF-8") {
  const TextFolder folder;
  const auto reader = open_documents(folder.write("a.md", "line\nl\xFFine\n\xE2\x82"));
  CHECK(read_all(*reader) == Texts{"line\nl\xEF\xBF\xBDine\n\xEF\xBF\xBD"});
  CHECK(reader->counts().replacements == 2);
  CHECK(contains(complaint_about(folder.write("b.txt", "")), "b.txt: expected text, found an empty file"));
  CHECK(contains(complaint_about(folder.write("c.parquet", "PAR1")), "c.parquet: expected a Parquet file"));
  CHECK(contains(complaint_about(folder / "none.txt"), "none.txt: there is no such file"));
  CHECK(contains(complaint_about(folder / "none.jsonl"), "none.jsonl: there is no such file"));
}

TEST_CASE("documents: a folder is its text files in the order of their names") {
  const TextFolder folder;
  std::filesystem::create_directory(folder / "sub.txt");
  folder.write("b.txt", "b\xFF");
  folder.write("a.jsonl", "{\"text\": \"a1\"}\n{\"text\": \"a2\"}\n");
  folder.write("c.txt", "c\xFF\xFF");
  folder.write("a.txt", "a3");
  folder.write("notes.md", "not read");
  const auto reader = open_documents(folder / "");
  CHECK(read_all(*reader) == Texts{"a1", "a2", "a3", "b\xEF\xBF\xBD", "c\xEF\xBF\xBD\xEF\xBF\xBD"});
  CHECK(reader->counts().replacements == 3);
  CHECK(contains(complaint_about(folder / "sub.txt"), "expected .parquet, .jsonl or .txt files"));
  folder.write("d.txt", "");
  CHECK(contains(complaint_about(folder / ""), "d.txt: expected text"));
}

TEST_CASE("documents: a share holds out every n-th document, a file all of its own") {
  const TextFolder folder;
  std::string lines;
  for (int i = 1; i <= 10; ++i) lines += fmt::format("{{\"text\": \"{}\"}}\n", i);
  const auto path = folder.write("a.jsonl", lines), held_out = folder.write("v.txt", "held out");
  const auto split = [&](const std::string& value, Split which) {
    return read_all(*open_split(path, Validation::parse(value), which));
  };
  CHECK(split("0.25", Split::validation) == Texts{"4", "8"});
  CHECK(split("0.25", Split::train) == Texts{"1", "2", "3", "5", "6", "7", "9", "10"});
  CHECK(split("0.3", Split::validation) == Texts{"3", "6", "9"});
  CHECK(split("0.4", Split::validation).size() == 3);  // 1/0.4 = 2.5, away from zero
  CHECK(split("1e-300", Split::validation).empty());
  CHECK(split("1e-300", Split::train).size() == 10);
  CHECK(split(held_out.string(), Split::validation) == Texts{"held out"});
  CHECK(split(held_out.string(), Split::train).size() == 10);
  const auto training = open_split(path, Validation::parse("0.25"), Split::train);
  for (int i = 0; i < 4; ++i) REQUIRE(training->skip());
  std::string text;
  CHECK((training->next(text) && text == "6"));
  CHECK(training->number() == 6);
  for (const Split which : {Split::train, Split::validation})
    CHECK(contains(complaint([&] { split("", which); }),
                   "a.jsonl: expected shards, of which the last is for validation, found one file"));
  for (const char* bad : {"0", "1", "1.5", "-0.1", "nan", "inf", "0.9", "none.txt", "0.1x"}) {
    INFO(bad);
    CHECK(contains(complaint([&] { Validation::parse(bad); }), "share"));
  }
}

TEST_CASE("documents: which files a split is read from") {
  const auto names = [](const std::vector<std::filesystem::path>& files) {
    Texts all;
    for (const auto& file : files) all.push_back(file.filename().string());
    return all;
  };
  const TextFolder folder, lone;
  folder.write("a.jsonl", "{}");
  folder.write("b.jsonl.gz", "");
  folder.write("c.jsonl", "{}");
  const auto files = [&](const std::string& validation, Split split) {
    return names(split_files(folder.path(), Validation::parse(validation), split));
  };
  CHECK(files("", Split::train) == Texts{"a.jsonl", "b.jsonl.gz"});
  CHECK(files("", Split::validation) == Texts{"c.jsonl"});
  CHECK(files("0.1", Split::train) == Texts{"a.jsonl", "b.jsonl.gz", "c.jsonl"});
  CHECK(files("0.1", Split::validation) == Texts{"a.jsonl", "b.jsonl.gz", "c.jsonl"});
  const std::string held_out = (folder / "a.jsonl").string();
  CHECK(files(held_out, Split::train) == Texts{"b.jsonl.gz", "c.jsonl"});
  CHECK(files(held_out, Split::validation) == Texts{"a.jsonl"});
  folder.write("d.txt", "");
  for (const Split split : {Split::train, Split::validation})
    CHECK(contains(complaint([&] { files("", split); }), "found plain text; or else a share"));
  folder.write("e.parquet", "");
  CHECK(contains(complaint([&] { files("", Split::train); }), "of which the last is for validation, found one; or else"));
  folder.write("f.parquet", "");
  CHECK(files("", Split::train) == Texts{"e.parquet"});
  CHECK(files("0.1", Split::train) == Texts{"e.parquet", "f.parquet"});
  lone.write("a.jsonl", "");
  CHECK(contains(complaint([&] { split_files(lone.path(), Validation{lone / "a.jsonl"}, Split::train); }),
                 "expected files beside"));
}

TEST_CASE("documents: what cannot be read is left out and counted where that is asked for") {
  const TextFolder folder;
  const auto lines = folder.write("a.jsonl", "{\"text\": \"one\"}\n{\"text\": 1}\nnot JSON\n\n{\"text\": \"two\"}\n");
  const auto cut = folder.write("b.jsonl.gz", std::string("\x1f\x8b\x08\x00 cut", 8));
  const auto parquet = folder.write("c.parquet", "PAR1");
  const auto reader = open_files({lines, cut, parquet, lines}, {.skip_damaged = true});
  CHECK(read_all(*reader) == Texts{"one", "two", "one", "two"});
  CHECK(reader->counts() == ReadCounts{.damaged = 4, .damaged_files = 2});
  CHECK(complaint_about(lines) != "");
  CHECK(complaint_about(cut) != "");
  CHECK(complaint_about(parquet) != "");
}

TEST_CASE("documents: a batch holds documents until they are long enough") {
  const TextFolder folder;
  const auto reader =
      open_documents(folder.write("a.jsonl", "{\"text\":\"12\"}\n{\"text\":\"34\"}\n{\"text\":\"567\"}\n{\"text\":\"8\"}\n"));
  CHECK(read_batch(*reader, 3) == Texts{"12", "34"});
  CHECK(read_batch(*reader, 3) == Texts{"567"});
  CHECK(read_batch(*reader, 3) == Texts{"8"});
  CHECK(read_batch(*reader, 3).empty());
}

TEST_CASE("documents: random bytes give documents or one line of complaint") {
  const TextFolder folder;
  std::mt19937_64 random(47);
  const std::string likely = "{}[]\":,\\ntextu0d8\n\n \xFF\xE2";
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = round % 2 ? "{\"text\":\"" : "";
    for (int64_t n = random_below(random, 40); n > 0; --n)
      bytes += random_below(random, 4) ? likely[size_t(random_below(random, int64_t(likely.size())))] : char(random());
    const std::string message = complaint_about(folder.write(round % 3 ? "a.jsonl" : "a.txt", bytes));
    REQUIRE_FALSE(contains(message, "\n"));
  }
}
