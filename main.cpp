// kappa: one line a command. Each command lives beside what it runs.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "data/data_command.h"
#include "data/tokenizer_command.h"
#include "engine/core/error.h"
#include "eval/commands.h"
#include "train/cli/build.h"
#include "train/cli/commands.h"
#include "train/commands.h"

/// The line about words that are not understood, and where the right ones are.
static std::string explain(const CLI::App* app, const CLI::Error& error) {
  std::string command = app->get_name();
  for (auto parsed = app->get_subcommands(); !parsed.empty(); parsed = parsed.back()->get_subcommands())
    command += " " + parsed.back()->get_name();
  return fmt::format("kappa: {}; see {} --help\n", error.what(), command);
}

int main(int argc, char** argv) {
  CLI::App app{"Trains, evaluates and runs confidence-adaptive SwiGLU mixtures of experts", "kappa"};
  app.set_version_flag("--version", kappa::version());
  app.require_subcommand(0, 1);  // that there is one is checked below: an unknown word is to be named first
  app.failure_message(explain);
  kappa::add_train_command(app);
  kappa::add_audit_command(app);
  kappa::add_bench_command(app);
  kappa::add_generate_command(app);
  kappa::add_data_command(app);
  kappa::add_tokenizer_command(app);
  kappa::add_doctor_command(app);
  kappa::add_completion_command(app);
  app.footer(
      "kappa COMMAND --help explains a command, configs/reference.yaml every key of a configuration.\n\nExamples:\n"
      "  kappa doctor\n"
      "  kappa train configs/quickstart.yaml\n"
      "  kappa generate runs/quickstart --prompt \"In the beginning\"");

  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) throw CLI::RequiredError::Subcommand(1);
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const kappa::InputError& error) {
    std::fprintf(stderr, "kappa: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kappa: %s\n", error.what());
    return 1;
  }
}
