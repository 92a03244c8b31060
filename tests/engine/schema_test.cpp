#include "engine/config/schema.h"

#include <array>
#include <limits>

#include "tests/support/catch.h"

using namespace kappa;

namespace {

enum class Colour { red, dark_green };
constexpr auto names_of(Colour) { return std::array{"red", "dark-green"}; }

struct Net {
  int64_t layers = 8, heads = 4;
  double rate = 1e-5;
  Auto<int64_t> chunk;
  bool deep = true;
};

struct Settings {
  std::string device = "cpu";
  Net net;
  std::string path;
  Colour colour = Colour::red;
  std::vector<int64_t> steps;
};

void describe(Schema& schema, Settings& s) {
  schema.section("", "At the top.").key("device", s.device, "where");
  Schema::Section net = schema.section("net", "The network.");
  net.key("n_layer", s.net.layers, "blocks", at_least(1));
  net.key("n_head", s.net.heads, "heads", minus_one_or(between(1, 100)));
  net.key("rate", s.net.rate, "speed", half_open(0, 1));
  net.key("chunk", s.net.chunk, "auto or tokens", at_least(1));
  net.key("deep", s.net.deep, "or not");
  Schema::Section data = schema.section("data", "The data.");
  data.key("path", s.path, "file");
  data.key("colour", s.colour, "of it");
  data.key("steps", s.steps, "when", at_least(1));
}

Settings read(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  Settings settings;
  Schema schema;
  describe(schema, settings);
  schema.read(yaml, "x.yaml");
  for (const std::string& assignment : overrides) schema.set(assignment);
  return settings;
}

std::string refusal(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  try {
    read(yaml, overrides);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

std::string written(Settings settings) {
  Schema schema;
  describe(schema, settings);
  return schema.yaml();
}

}  // namespace

TEST_CASE("schema: every kind of value is read, from blocks and from braces") {
  for (const std::string yaml : {"device: cuda\n"
                                 "net:  # a comment\n"
                                 "  n_layer: 12\n"
                                 "  n_head: -1\n"
                                 "  rate: 5.0e-1\n"
                                 "  chunk: 7\n"
                                 "  deep: false\n"
                                 "data:\n"
                                 "  path: \"a b\"\n"
                                 "  colour: dark-green\n"
                                 "  steps: [1, 20]\n",
                                 "{device: cuda, net: {n_layer: 12, n_head: -1, rate: .5, chunk: 7, deep: false}, "
                                 "data: {path: 'a b', colour: dark-green, steps: [1, 20]}}"}) {
    const Settings s = read(yaml);
    REQUIRE(s.device == "cuda");
    REQUIRE(s.net.layers == 12);
    REQUIRE(s.net.heads == -1);
    REQUIRE(s.net.rate == 0.5);
    REQUIRE(s.net.chunk == 7);
    REQUIRE(s.net.deep == false);
    REQUIRE(s.path == "a b");
    REQUIRE(s.colour == Colour::dark_green);
    REQUIRE(s.steps == std::vector<int64_t>{1, 20});
  }
}

TEST_CASE("schema: what a file leaves out keeps its default") {
  for (const std::string yaml : {"", "# nothing\n", "net:\n", "net: {}\n", "---\n...\n", "net:\n  # n_layer: 3\n"}) {
    INFO(yaml);
    REQUIRE(written(read(yaml)) == written(Settings()));
  }
}

TEST_CASE("schema: the last override wins, over the file too") {
  const Settings s = read("net: {n_layer: 2, chunk: 3}",
                          {"net.n_layer=5", "net.n_layer=6", "net.chunk=auto", "data.steps=[3,4]", "data.path=", "device=a=b"});
  REQUIRE(s.net.layers == 6);
  REQUIRE(!s.net.chunk);
  REQUIRE(s.steps == std::vector<int64_t>{3, 4});
  REQUIRE(s.device == "a=b");
}

TEST_CASE("schema: a wrong key is named with its line and the key that may be meant") {
  REQUIRE(refusal("net:\n  n_layr: 1\n") == "x.yaml:2: net.n_layr: unknown key (did you mean n_layer?)");
  REQUIRE(refusal("net:\n  n_headd: 1\n") == "x.yaml:2: net.n_headd: unknown key (did you mean n_head?)");
  REQUIRE(refusal("data:\n  n_head: 1\n") == "x.yaml:2: data.n_head: unknown key (did you mean net.n_head?)");
  REQUIRE(refusal("\nn_layer: 1\n") == "x.yaml:2: n_layer: unknown key (did you mean net.n_layer?)");
  REQUIRE(refusal("nett:\n  n_layer: 1\n") == "x.yaml:1: nett: unknown key (did you mean net?)");
  REQUIRE(refusal("net:\n  entirely_different: 1\n") == "x.yaml:2: net.entirely_different: unknown key");
  REQUIRE(refusal("net.n_layer: 1\n") == "x.yaml:1: net.n_layer: expected a key without a dot");
  REQUIRE(refusal("device: {a: 1}\n") == "x.yaml:1: device: expected a text, found keys");
  REQUIRE(refusal("net: 3\n") == "x.yaml:1: net: expected keys below it, found \"3\"");
  REQUIRE(refusal("net: [3]\n") == "x.yaml:1: net: expected keys below it, found a list");
  REQUIRE(refusal("", {"net.n_headd=3"}) == "--set: net.n_headd: unknown key (did you mean n_head?)");
  REQUIRE(refusal("", {"net.n_head"}) == "--set net.n_head: expected KEY=VALUE");
  REQUIRE(refusal("", {"net=3"}) == "--set: net: expected keys below it, found \"3\"");
  REQUIRE(refusal("", {"data.steps=[1"}) == "--set data.steps:1: list: expected a value, found further keys");
  REQUIRE(refusal("ab: 1") == "x.yaml:1: ab: unknown key");
  REQUIRE(refusal(std::string(100'000, 'k') + ": 1").size() < 200);
}

TEST_CASE("schema: a wrong value is named with its line, what was expected and what was found") {
  REQUIRE(refusal("net:\n  n_layer: abc\n") == "x.yaml:2: net.n_layer: expected an integer of at least 1, found \"abc\"");
  const std::string integer = "expected an integer of at least 1, found ";
  for (const auto& [value, found] :
       std::vector<std::pair<std::string, std::string>>{{"0", "\"0\""},
                                                        {"1.5", "\"1.5\""},
                                                        {"1e3", "\"1e3\""},
                                                        {"+1", "\"+1\""},
                                                        {"0x10", "\"0x10\""},
                                                        {"1_000", "\"1_000\""},
                                                        {"9007199254740993", "\"9007199254740993\", beyond 2^53"},
                                                        {"99999999999999999999", "\"99999999999999999999\", beyond 2^53"},
                                                        {"'3'", "the text \"3\""},
                                                        {"", "nothing"},
                                                        {"~", "nothing"},
                                                        {"null", "nothing"},
                                                        {"[1]", "a list"},
                                                        {"{}", "keys"},
                                                        {"auto", "\"auto\""},
                                                        {"1 2", "\"1 2\""},
                                                        {"true", "\"true\""}}) {
    INFO(value);
    if (value == "{}") continue;  // further keys; see below
    REQUIRE(refusal(fmt::format("net: {{n_layer: {}}}", value)) == fmt::format("x.yaml:1: net.n_layer: {}{}", integer, found));
  }
  REQUIRE(refusal("net: {n_head: 0}") == "x.yaml:1: net.n_head: expected an integer in [1, 100] or -1, found \"0\"");
  for (const std::string value : {"nan", ".nan", "inf", "-.inf", ".inf", "1e999", "1", "-0.1", "'0.5'", "abc", "1e-999"})
    REQUIRE_THAT(refusal("net: {rate: " + value + "}"),
                 Catch::Matchers::StartsWith("x.yaml:1: net.rate: expected a number in [0, 1), found "));
  for (const std::string value : {"yes", "1", "True", "'true'", "\"\""})
    REQUIRE_THAT(refusal("net: {deep: " + value + "}"),
                 Catch::Matchers::StartsWith("x.yaml:1: net.deep: expected true or false, found "));
  REQUIRE(refusal("net: {chunk: 0}") == "x.yaml:1: net.chunk: expected auto or an integer of at least 1, found \"0\"");
  REQUIRE(refusal("data: {colour: blue}") == "x.yaml:1: data.colour: expected red | dark-green, found \"blue\"");
  REQUIRE(refusal("data: {steps: 3}") ==
          "x.yaml:1: data.steps: expected a list [a, b, …] of integers of at least 1, found \"3\"");
  REQUIRE(refusal("data: {steps: [3, x]}") == "x.yaml:1: data.steps: element 2: expected an integer of at least 1, found \"x\"");
  REQUIRE(refusal("", {"net.rate=nan"}) == "--set: net.rate: expected a number in [0, 1), found \"nan\"");
}

TEST_CASE("schema: YAML that is broken, or more than a configuration needs, is refused with its line") {
  for (const auto& [yaml, message] : std::vector<std::pair<std::string, std::string>>{
           {"net:\n  n_layer: 1\n  n_layer: 2\n", "x.yaml:3: net.n_layer: expected each key once, found it twice"},
           {"net: {n_layer: 1}\nnet: {n_head: 1}\n", "x.yaml:2: net: expected each key once, found it twice"},
           {"device: a\n---\ndevice: b\n", "x.yaml:2: expected one YAML document, found a second"},
           {"device: &x a\nnet: {n_layer: *x}\n", "x.yaml:2: net.n_layer: expected a value, found an alias"},
           {"device: !!str a\n", "x.yaml:1: device: expected a value, found a tag"},
           {"net: !!set {n_layer: 1}\n", "x.yaml:1: net: expected a value, found a tag"},
           {"data: {steps: !x [1]}\n", "x.yaml:1: data.steps: expected a value, found a tag"},
           {"!x {net: {n_layer: 1}}\n", "x.yaml:1: expected sections of keys, found a tag"},
           {"net:\n  n_layer:\n    more: 1\n", "x.yaml:3: net.n_layer: expected a value, found further keys"},
           {"data: {steps: [[1]]}\n", "x.yaml:1: data.steps: expected a value, found a list"},
           {"data: {steps: [{a: 1}]}\n", "x.yaml:1: data.steps: expected a value, found further keys"},
           {"data: {steps: [~]}\n", "x.yaml:1: data.steps: expected a value, found nothing"},
           {"just a text\n", "x.yaml:1: expected sections of keys, found \"just a text\""},
           {"- a\n", "x.yaml:1: expected sections of keys, found a list"},
           {"? [a]\n: b\n", "x.yaml:1: expected a key, found a list"},
           {"? {a: b}\n: b\n", "x.yaml:1: expected a key, found further keys"},
           {"~: b\n", "x.yaml:1: expected a key, found nothing"}}) {
    INFO(yaml);
    REQUIRE(refusal(yaml) == message);
  }
  for (const auto& [yaml, start] :
       std::vector<std::pair<std::string, std::string>>{{"device: a\nnet: [1\n", "x.yaml:2: net: expected a value, found "},
                                                        {"device: a\n  net: b: c\n", "x.yaml:2: expected YAML, found: "},
                                                        {"device: \"a\n", "x.yaml:3: expected YAML, found: "},
                                                        {"device: 'a", "x.yaml:2: expected YAML, found: "},
                                                        {"device: @a", "x.yaml:1: expected YAML, found: "}})
    REQUIRE_THAT(refusal(yaml), Catch::Matchers::StartsWith(start));
}

TEST_CASE("schema: bombs cost nothing") {
  std::string laughs = "a: &a [lol]\n";
  for (char c = 'b'; c < 'z'; ++c) laughs += fmt::format("{0}: &{0} [*{1}, *{1}, *{1}, *{1}, *{1}]\n", c, char(c - 1));
  REQUIRE(refusal(laughs) == "x.yaml:2: b: expected a value, found an alias");
  REQUIRE(refusal("device: " + std::string(200'000, '[')) == "x.yaml:1: device: expected a value, found further keys");
  REQUIRE(refusal(std::string(200'000, '{')) == "x.yaml:1: expected a key, found further keys");
  REQUIRE(refusal(std::string(200'000, '-')) != "");
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "? ";
  REQUIRE(refusal(nested) != "");
}

TEST_CASE("schema: conditions over several keys cite them with values and places") {
  Settings settings;
  Schema schema;
  describe(schema, settings);
  const auto cited = [&] {
    try {
      schema.require(false, {"net.n_layer", "net.n_head"}, "{} is {}", "this", "wrong");
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  REQUIRE(cited() == "net.n_layer = 8, net.n_head = 4: this is wrong");
  schema.read("net:\n  n_head: 5\n", "x.yaml");
  REQUIRE(schema.given("net.n_head"));
  REQUIRE_FALSE(schema.given("net.n_layer"));
  REQUIRE(cited() == "x.yaml:2: net.n_layer = 8 (default), net.n_head = 5: this is wrong");
  schema.set("net.n_layer=3");
  REQUIRE(cited() == "--set: net.n_layer = 3, net.n_head = 5 (x.yaml:2): this is wrong");
  schema.require(true, {"net.n_layer"}, "fine");
}

TEST_CASE("schema: what is written is read back as it was") {
  Settings s;
  s.net = {.layers = int64_t{1} << 53, .heads = -1, .rate = 0.1 + 0.2, .chunk = 5, .deep = false};
  s.steps = {1, 2, 3};
  s.colour = Colour::dark_green;
  const std::string odd[] = {"",
                             "plain/path_1.txt",
                             "true",
                             "auto",
                             "null",
                             "12",
                             "-",
                             "a b",
                             "a: b # c",
                             "\"quoted\" \\ back",
                             "two\nlines\ttab",
                             "κ",
                             " padded ",
                             "'",
                             "~",
                             "[x]",
                             std::string("\0\x01\x7f", 3),
                             "%",
                             "@",
                             "y",
                             "0x1",
                             ".5"};
  for (const std::string& text : odd) {
    s.path = s.device = text;
    const std::string yaml = written(s);
    INFO(yaml);
    const Settings back = read(yaml);
    REQUIRE(back.path == text);
    REQUIRE(written(back) == yaml);
  }
  for (double rate : {0.0, 1e-5, 0.3, 5e-324, 1 - 0x1p-53, 1 / 3.0}) {
    s.net.rate = rate;
    REQUIRE(read(written(s)).net.rate == rate);
  }
}

TEST_CASE("schema: the written form, with and without help") {
  Settings s;
  Schema schema;
  describe(schema, s);
  REQUIRE(schema.yaml() ==
          "device: cpu\n"
          "net:\n  n_layer: 8\n  n_head: 4\n  rate: 1.0e-05\n  chunk: auto\n  deep: true\n"
          "data:\n  path: \"\"\n  colour: red\n  steps: []\n");
  const std::string reference = schema.reference();
  REQUIRE_THAT(reference, Catch::Matchers::Contains("\n# The network.\nnet:\n  n_layer: 8") &&
                              Catch::Matchers::Contains("  # of it [red | dark-green]\n"));
  REQUIRE(written(read(reference)) == schema.yaml());
}

TEST_CASE("schema: two configurations are compared key by key") {
  Settings a, b;
  b.net.rate = 0.5;
  b.path = "p";
  Schema left, right;
  describe(left, a);
  describe(right, b);
  const auto found = differences(left, right);
  REQUIRE(found.size() == 2);
  REQUIRE((found[0].key == "net.rate" && found[0].left == "1.0e-05" && found[0].right == "0.5"));
  REQUIRE((found[1].key == "data.path" && found[1].left == "\"\"" && found[1].right == "p"));
  REQUIRE(differences(left, left).empty());
}

TEST_CASE("schema: a reader of one section leaves the others alone, but needs its own") {
  Net net;
  Schema schema;
  schema.section("net", "").key("n_layer", net.layers, "");
  schema.read_own_sections("other: {n_layer: x}\ntop: 3\nnet: {n_layer: 3}\n", "x.yaml");
  REQUIRE(net.layers == 3);
  REQUIRE_THROWS_WITH(schema.read_own_sections("net: {n_lay: 3}", "x.yaml"),
                      "x.yaml:1: net.n_lay: unknown key (did you mean n_layer?)");
  REQUIRE_THROWS_WITH(schema.read_own_sections("nett: {n_layer: 3}", "x.yaml"), "x.yaml: expected a section net, found none");
}
