#include "engine/core/file.h"

#include <sys/stat.h>

#include <limits>

#include "engine/core/error.h"
#include "engine/core/folder_lock.h"
#include "engine/core/text.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace kappa;
using kappa::test::TempFolder;

namespace {

std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

TEST_CASE("file: what is written whole is read whole, and mapped") {
  const TempFolder folder;
  for (const std::string& text : {std::string(), std::string("a\0b\n", 4), std::string(200'000, 'x')}) {
    write_file(folder / "a", text);
    REQUIRE(read_file(folder / "a") == text);
    REQUIRE(text_of(MappedFile(folder / "a").bytes()) == text);
    REQUIRE_FALSE(std::filesystem::exists(folder / "a.tmp"));
  }
}

TEST_CASE("file: a mapping survives being moved, and the file's removal") {
  const TempFolder folder;
  write_file(folder / "a", "first");
  write_file(folder / "b", "second");
  MappedFile a(folder / "a"), b(folder / "b");
  std::filesystem::remove(folder / "b");
  a = std::move(b);
  const MappedFile c = std::move(a);
  REQUIRE(text_of(c.bytes()) == "second");
}

TEST_CASE("file: a file that is not committed leaves the old one and nothing else") {
  const TempFolder folder;
  write_file(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
    REQUIRE(read_file(folder / "a") == "old");
    REQUIRE(std::filesystem::exists(folder / "a.tmp"));
  }
  REQUIRE(read_file(folder / "a") == "old");
  REQUIRE_FALSE(std::filesystem::exists(folder / "a.tmp"));
}

TEST_CASE("file: pieces may be written in any order") {
  const TempFolder folder;
  AtomicFile file(folder / "a");
  file.write("head ");
  file.write_at(10, std::as_bytes(std::span("tail", 4)));
  file.write("body ");
  AtomicFile moved = std::move(file);
  moved.commit();
  REQUIRE(read_file(folder / "a") == "head body tail");
}

TEST_CASE("file: errors name the path and the system's reason") {
  const TempFolder folder;
  const std::string missing = (folder / "no").string(), path = folder.path().string();
  REQUIRE_THROWS_WITH(read_file(missing), missing + ": cannot open: No such file or directory");
  REQUIRE_THROWS_WITH(MappedFile(missing), missing + ": cannot open: No such file or directory");
  REQUIRE_THROWS_WITH(read_file(path), path + ": cannot read: Is a directory");
  REQUIRE_THROWS_WITH(MappedFile(path), path + ": expected a regular file");
  REQUIRE_THROWS_WITH(AtomicFile(folder / "no/a"), missing + "/a.tmp: cannot create: No such file or directory");
  REQUIRE_THROWS_WITH(AtomicFile(path), path + ": expected a name for a file, found a folder or a device");
  REQUIRE_THROWS_AS(AtomicFile("/dev/null"), InputError);
  REQUIRE_THROWS_AS(rename_durably(folder / "no", folder / "a"), RunError);
}

TEST_CASE("file: a full disk is a failed run, and nothing is left") {
  struct stat status {};
  if (stat("/dev/full", &status) != 0) return;
  const TempFolder folder;
  std::filesystem::create_symlink("/dev/full", folder / "a.tmp");
  {
    AtomicFile file(folder / "a");
    REQUIRE_THROWS_AS(file.write("text"), RunError);
  }
  REQUIRE(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("file: what cannot take its name in the end is removed") {
  const TempFolder folder;
  {
    AtomicFile file(folder / "a");
    file.write("text");
    std::filesystem::create_directory(folder / "a");
    REQUIRE_THROWS_AS(file.commit(), RunError);
  }
  REQUIRE_FALSE(std::filesystem::exists(folder / "a.tmp"));
}

TEST_CASE("file: no output takes the place of an input, not even while it is written") {
  const TempFolder folder;
  write_file(folder / "a.tmp", "text");
  write_file(folder / "b", "text");
  const auto check = [&](const char* out) { require_other_file("--out", folder / out, {folder / "a.tmp", folder / "b"}); };
  REQUIRE_THROWS_WITH(check("b"), contains("expected another file than those that are read, found one of them"));
  REQUIRE_THROWS_WITH(check("a"), contains((folder / "a.tmp").string() + ", which it is written to first"));
  REQUIRE_NOTHROW(check("c"));
}

TEST_CASE("file: reading stops at the limit") {
  const TempFolder folder;
  write_file(folder / "a", "12345");
  REQUIRE(read_file(folder / "a", 5) == "12345");
  REQUIRE_THROWS_WITH(read_file(folder / "a", 4), (folder / "a").string() + ": expected at most 4 bytes, found more");
  REQUIRE_THROWS_AS(read_file("/dev/zero", 1 << 20), InputError);
}

TEST_CASE("file: a folder is locked for one at a time") {
  const TempFolder folder;
  FolderLock second;
  {
    FolderLock first;
    REQUIRE(first.take(folder.path()));
    REQUIRE(first.taken());
    REQUIRE_FALSE(second.take(folder.path()));
    REQUIRE_FALSE(second.taken());
  }
  REQUIRE(second.take(folder.path()));
}

TEST_CASE("text: what goes into an error is one short line") {
  REQUIRE(printable("κ is fine") == "κ is fine");
  REQUIRE(printable(std::string("a\nb\0c\x7f", 6)) == "a?b?c?");
  REQUIRE(printable(std::string(81, 'x')) == std::string(80, 'x') + "…");
  REQUIRE(printable(-std::numeric_limits<double>::quiet_NaN()) == "nan");
  REQUIRE(printable(-1.5) == "-1.5");
  REQUIRE(printable(std::string(79, 'x') + "κ") == std::string(79, 'x') + "…");  // no half characters
  REQUIRE(printable(std::string(80, 'x')) == std::string(80, 'x'));
}

TEST_CASE("text: what is not UTF-8, and what a terminal could take for a command, is not printed") {
  REQUIRE(printable("a\xFF\xCE z\xF0\x9F") == "a\uFFFD\uFFFD z\uFFFD");
  REQUIRE(printable("\u0085\u009B\u00A0") == "??\u00A0");
  REQUIRE(for_terminal("a\tb\n\x1B[2J\u009B2J\r\xC0") == "a\tb\n?[2J?2J?\uFFFD");
  REQUIRE(for_terminal(std::string(100, 'x')) == std::string(100, 'x'));
}
