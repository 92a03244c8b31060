#pragma once
// A folder in which the program runs as a process of its own.

#include <csignal>
#include <set>
#include <string>
#include <vector>

#include "engine/core/file.h"
#include "tests/support/catch.h"
#include "tests/support/paths.h"
#include "tests/support/temp_folder.h"

namespace kappa::test {

using Words = std::vector<std::string>;

/// A command line, and then more of it.
inline Words with_more(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

struct Result {
  int code;  // −1 where a signal ended it
  std::string out, err;
};

class Shell {
 public:
  std::filesystem::path operator/(const std::string& name) const { return files_ / name; }
  std::string read(const std::string& name) const { return read_file(files_ / name); }
  void write(const std::string& name, std::string_view bytes) const { write_file(files_ / name, bytes); }

  /// `kappa words…` with `input` on standard input.
  Result run(const Words& words, std::string_view input = "") const;
  /// The same, sent these signals one after the other as soon as it has written `text`, or anything if that is empty.
  Result interrupt(const Words& words, const std::vector<int>& signals = {SIGINT}, std::string_view text = "") const;
  /// Exit code 2, one line on standard error with all of `said` in it, no file new or changed. The second:
  /// nothing on standard output either.
  Result check_refused_late(const Words& words, const Words& said, std::string_view input = "") const;
  void check_refused(const Words& words, const Words& said, std::string_view input = "") const;

 private:
  using Listing = std::set<std::pair<std::string, std::filesystem::file_time_type>>;
  Listing listing() const;
  int start(Words words, std::string_view input) const;
  Result finish(int child) const;

  TempFolder files_, said_;
};

}  // namespace kappa::test
