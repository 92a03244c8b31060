// kappa: one line a command. Each command lives beside what it runs.

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "data/data_command.h"
#include "data/tokenizer_command.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/core/unfinished_file.h"
#include "eval/commands.h"
#include "train/cli/build.h"
#include "train/cli/commands.h"
#include "train/commands.h"

static constexpr auto every_command = [](const CLI::App*) { return true; };

/// What is wrong with the words of the command line, and where the right ones are.
static std::string explain(const CLI::App* app, const CLI::Error& error) {
  std::string command = app->get_name(), what = error.what();
  const CLI::App* last = app;
  for (; !last->get_subcommands().empty(); command += " " + last->get_name()) last = last->get_subcommands().back();
  if (last->get_require_subcommand_min() > 0) {
    std::vector<std::string> known;
    for (const CLI::App* sub : last->get_subcommands(every_command)) known.push_back(sub->get_name());
    const auto found = app->remaining(true);
    what = fmt::format("expected a subcommand ({}), found {}", fmt::join(known, ", "), found.empty() ? "none" : found.front());
  }
  return fmt::format("kappa: {}; see {} --help\n", kappa::one_line(what), command);
}

/// No option means anything by an empty value. Where one is given, a shell's variable was not set.
static void refuse_empty_values(CLI::App& app) {
  const auto refusal = [](std::string& value) { return std::string(value.empty() ? "expected a value, found nothing" : ""); };
  for (CLI::Option* option : app.get_options()) option->transform(CLI::Validator(refusal, ""));
  for (CLI::App* command : app.get_subcommands(every_command)) refuse_empty_values(*command);
}

/// Where the caller has closed a standard stream, its number is not to be that of some file, into which we would print.
static void reserve_standard_streams() {
  for (int stream : {0, 1, 2})
    if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) return;
}

static int fail(const std::exception& error, int code) {
  fmt::print(stderr, "kappa: {}\n", kappa::one_line(error.what()));
  return code;
}

static int run(int argc, char** argv) {
  CLI::App app{"Trains, evaluates and runs confidence-adaptive SwiGLU mixtures of experts", "kappa"};
  app.set_version_flag("--version", kappa::version());
  app.require_subcommand(1);
  app.failure_message(explain);
  kappa::add_train_command(app);
  kappa::add_audit_command(app);
  kappa::add_bench_command(app);
  kappa::add_generate_command(app);
  kappa::add_data_command(app);
  kappa::add_tokenizer_command(app);
  kappa::add_doctor_command(app);
  kappa::add_completion_command(app);
  refuse_empty_values(app);
  app.footer(
      "kappa COMMAND --help explains a command, configs/reference.yaml every key of a configuration.\n\nExamples:\n"
      "  kappa doctor\n"
      "  kappa train configs/quickstart.yaml\n"
      "  kappa generate runs/quickstart --prompt \"In the beginning\"");

  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const kappa::InputError& error) {
    return fail(error, 2);
  } catch (const std::exception& error) {
    return fail(error, 1);
  }
}

int main(int argc, char** argv) {
  reserve_standard_streams();
  kappa::remove_unfinished_files_on_signals();
  const int code = run(argc, argv);
  // Whatever was printed lies in the stream's buffer, at the latest until here.
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (code != 0 || written) return code;
  return fail(kappa::RunError("standard output: cannot be written to"), 1);
}
