#pragma once
// Byte-level byte-pair encoding: text to ids and back (spec/evaluation.md §3).

#include <optional>
#include <span>

#include "data/tokenizer/bpe_encoder.h"
#include "data/tokenizer/vocabulary.h"

namespace kappa {

class Tokenizer {
 public:
  /// Throws InputError if the vocabulary is not one (check_vocabulary).
  explicit Tokenizer(Vocabulary vocabulary);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const BpeEncoder& encoder() const { return encoder_; }
  /// One more than the greatest id.
  int64_t size() const { return vocabulary_.size(); }
  /// Throws InputError if the vocabulary has no BOS.
  int32_t bos_id() const;
  /// The id of a special token such as "<|user_end|>".
  std::optional<int32_t> special_id(std::string_view text) const;
  /// The bytes of one id; of a special its text. Throws InputError if there is no such id.
  std::string_view token(int64_t id) const;

  /// The ids of a text, without BOS. The texts of special tokens are plain text here. Ill-formed UTF-8 is encoded byte by byte.
  std::vector<int32_t> encode(std::string_view text) const;
  /// The same, appended.
  void encode(std::string_view text, std::vector<int32_t>& ids) const;
  /// The same, appended, except that where the text of a special token stands, its id does: the leftmost first, of those that
  /// begin at one place the longest.
  void encode_with_specials(std::string_view text, std::vector<int32_t>& ids) const;

  /// The ids of every text, in order, by all threads.
  enum class Specials { as_text, as_ids };
  std::vector<std::vector<int32_t>> encode_batch(std::span<const std::string> texts, Specials specials = Specials::as_text) const;

  /// The tokens' bytes, one after the other. decode_bytes(encode(text)) is `text`.
  std::string decode_bytes(std::span<const int32_t> ids) const;
  /// The same as text: U+FFFD where the bytes are not UTF-8.
  std::string decode(std::span<const int32_t> ids) const;

  /// [size()] The bytes that an id counts for in bits per byte (spec/evaluation.md §2): the length of decode({id}), which is not
  /// that of its bytes where they are a part of a character; 0 where that text is a special token's, or the id is nothing's.
  std::vector<int32_t> token_bytes() const;

 private:
  const Special* special_at(std::string_view text) const;

  Vocabulary vocabulary_;
  BpeEncoder encoder_;
};

}  // namespace kappa
