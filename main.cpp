// kappa: one line a command. Each command lives beside what it runs.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "data/data_command.h"
#include "data/tokenizer_command.h"
#include "engine/core/error.h"
#include "eval/commands.h"
#include "train/commands.h"

int main(int argc, char** argv) {
  CLI::App app{"kappa: trains, evaluates and runs confidence-adaptive SwiGLU mixtures of experts"};
  app.set_version_flag("--version", kappa::version());
  app.require_subcommand(0, 1);  // that there is one is checked below: an unknown word is to be named first
  app.failure_message([](const CLI::App*, const CLI::Error& error) { return std::string("kappa: ") + error.what() + "\n"; });
  kappa::add_train_command(app);
  kappa::add_audit_command(app);
  kappa::add_bench_command(app);
  kappa::add_generate_command(app);
  kappa::add_data_command(app);
  kappa::add_tokenizer_command(app);

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
