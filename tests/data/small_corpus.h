#pragma once
// A small tokenizer, and small shards, for the tests of streams and of what reads them.

#include "data/bpe_trainer.h"
#include "tests/data/support.h"
#include "tests/support/parquet_writer.h"

namespace kappa::test {

using Texts = std::vector<std::string>;

inline const Tokenizer& tokenizer() {
  static const Tokenizer made(train_bpe(Texts{"the cat and the hat", "a document of the corpus"}, 280));
  return made;
}

/// The BOS and the ids.
inline std::vector<int32_t> tokens_of(const std::string& text) {
  std::vector<int32_t> ids{tokenizer().bos_id()};
  tokenizer().encode(text, ids);
  return ids;
}

/// Shards whose row groups have these numbers of rows. Every text is another one.
struct Shards {
  std::vector<std::vector<Texts>> texts;  // by file and row group

  explicit Shards(const std::vector<std::vector<int>>& sizes) {
    int number = 0;
    for (const auto& file : sizes) {
      texts.emplace_back();
      for (const int rows : file) {
        texts.back().emplace_back();
        for (int i = 0; i < rows; ++i, ++number)
          texts.back().back().push_back(
              number % 17 == 0 ? "" : fmt::format("the {} cat{:.{}}", number, " and the hat of the corpus", number % 26));
      }
    }
  }

  void write(const TextFolder& folder) const {
    for (size_t f = 0; f < texts.size(); ++f) {
      std::vector<TestRowGroup> groups;
      for (const Texts& g : texts[f]) groups.push_back(plain_row_group(g));
      folder.write(fmt::format("shard_{:05}.parquet", f), parquet_file(groups));
    }
  }
};

inline const Shards& ragged() {
  static const Shards made({{1, 128, 129}, {0, 300, 5, 7, 127}, {256}, {}, {3, 3, 3, 3, 3, 3, 3}, {9, 9, 9}});
  return made;
}

}  // namespace kappa::test
