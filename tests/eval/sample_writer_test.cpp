#include "eval/sample_writer.h"

#include <unistd.h>

#include "data/bpe_trainer.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// A file that can be read while it is written.
class Page {
 public:
  Page() : file_(std::fopen((folder_ / "page").c_str(), "w")) {}
  ~Page() { std::fclose(file_); }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  std::FILE* file() const { return file_; }
  std::string text() const { return read_file(folder_ / "page"); }

 private:
  TempFolder folder_;
  std::FILE* file_;
};

/// The 256 bytes are the ids 0 to 255.
Tokenizer bytes_alone() { return Tokenizer(train_bpe({}, 265)); }

}  // namespace

TEST_CASE("sample writer: ids, a sample a line, the first as they come") {
  const Page page;
  SampleWriter writer(page.file(), 2, nullptr);
  writer.add(0, 12);
  CHECK(page.text() == "12");
  writer.add(1, 7);
  writer.add(0, 0);
  CHECK(page.text() == "12,0");
  writer.add(1, 8);
  writer.end(0);
  CHECK(page.text() == "12,0\n7,8");
  writer.end(0);
  writer.add(1, 9);
  CHECK(page.text() == "12,0\n7,8,9");
  writer.end(1);
  CHECK(page.text() == "12,0\n7,8,9\n");
}

TEST_CASE("sample writer: samples that end early wait for those before them, and may be empty") {
  const Page page;
  SampleWriter writer(page.file(), 4, nullptr);
  writer.end(2);
  writer.add(1, 5);
  writer.end(1);
  writer.add(0, 1);
  CHECK(page.text() == "1");
  writer.end(0);
  CHECK(page.text() == "1\n5\n\n");
  writer.add(3, 4);
  CHECK(page.text() == "1\n5\n\n4");
  writer.end(3);
}

TEST_CASE("sample writer: text, without parts of characters") {
  const Tokenizer tokenizer = bytes_alone();
  const auto byte = [&](uint8_t value) {
    for (int32_t id = 0; id < 256; ++id)
      if (uint8_t(tokenizer.token(id)[0]) == value) return id;
    return -1;
  };
  const Page page;
  SampleWriter writer(page.file(), 2, &tokenizer);
  writer.add(0, byte('a'));
  for (uint8_t value : {0xE2, 0x82}) writer.add(0, byte(value)), writer.add(1, byte(value));
  CHECK(page.text() == "a");
  writer.add(0, byte(0xAC));
  CHECK(page.text() == "a€");
  writer.end(0);
  CHECK(page.text() == "a€\n---\n");
  writer.end(1);
  CHECK(page.text() == "a€\n---\n\xEF\xBF\xBD\n");
}

TEST_CASE("sample writer: a file that cannot be written to ends the run") {
  std::FILE* const full = std::fopen("/dev/full", "w");
  if (full == nullptr) return;
  SampleWriter writer(full, 1, nullptr);
  CHECK_THROWS_AS(writer.add(0, 1), RunError);
  std::fclose(full);
}
