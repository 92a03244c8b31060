#pragma once
// Base64 (RFC 4648 §4), as tiktoken's files hold the bytes of a token.

#include <optional>
#include <string>
#include <string_view>

namespace kappa {

std::string base64_encode(std::string_view bytes);

/// The bytes, or nothing unless `text` is exactly what base64_encode gives for some bytes: padded, without unused bits set.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace kappa
