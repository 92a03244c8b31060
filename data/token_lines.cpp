#include "data/token_lines.h"

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/core/utf8.h"
#include "engine/device/thread_pool.h"

namespace kappa {

void encode_lines(const Tokenizer& tokenizer, DocumentReader& reader, const EncodeOptions& options, Output& out) {
  const std::string bos = options.bos ? fmt::format("{}", tokenizer.bos_id()) : "";
  const auto specials = options.specials ? Tokenizer::Specials::as_ids : Tokenizer::Specials::as_text;
  for (auto texts = read_batch(reader); !texts.empty(); texts = read_batch(reader)) {
    const auto ids = tokenizer.encode_batch(texts, specials);
    parallel_for(int64_t(texts.size()), [&](int64_t i) {
      std::string& text = texts[size_t(i)];
      text = "{\"ids\": [" + bos;
      for (const int32_t id : ids[size_t(i)]) {
        if (text.back() != '[') text += ", ";
        const fmt::format_int digits(id);
        text.append(digits.data(), digits.size());
      }
      text += "]}\n";
    });
    for (const std::string& text : texts) out.write(text);
  }
}

static std::vector<int32_t> read_ids(const Tokenizer& tokenizer, std::string_view line, const std::string& where) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  const bool known = object.is_object() && object.contains("ids") && object["ids"].is_array();
  require(known, "{}: expected {{\"ids\": […]}}, found {}", where, printable(line));
  std::vector<int32_t> ids;
  for (const auto& id : object["ids"]) {
    require(id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() < tokenizer.size(),
            "{}: ids: expected numbers from 0 to {}, found {}", where, tokenizer.size() - 1, printable(id.dump()));
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

int64_t decode_lines(const Tokenizer& tokenizer, Lines& lines, Output& out) {
  int64_t replacements = 0;
  for (std::string_view line; lines.next(line);) {
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const std::string where = fmt::format("{}:{}", lines.name(), lines.number());
    try {
      RepairedText text = repair_utf8(tokenizer.decode_bytes(read_ids(tokenizer, line, where)));
      replacements += text.replacements;
      out.write("{\"text\": " + nlohmann::json(text.text).dump() + "}\n");
    } catch (const InputError& error) {  // an id among the others that is no token's
      const std::string message = error.what();
      throw InputError(message.starts_with(where) ? message : fmt::format("{}: {}", where, message));
    }
  }
  return replacements;
}

}  // namespace kappa
