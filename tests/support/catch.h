#pragma once
// Catch2, version 2 (Debian 12, Ubuntu 22.04) or 3 (Ubuntu 24.04).

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
inline auto contains(const std::string& text) { return Catch::Matchers::ContainsSubstring(text); }
#else
#include <catch2/catch.hpp>  // which puts Approx into the global namespace itself
inline auto contains(const std::string& text) { return Catch::Matchers::Contains(text); }
#endif
