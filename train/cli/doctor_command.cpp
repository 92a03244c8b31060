#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "engine/device/thread_pool.h"
#include "train/cli/commands.h"
#include "train/cli/doctor.h"
#include "train/machine_speed.h"

namespace kappa {

void add_doctor_command(CLI::App& app) {
  struct Options {
    int threads = 0;
    bool json = false;
  };
  auto* const command = app.add_subcommand("doctor", "What this machine has, what will run on it, and what is missing");
  const auto o = std::make_shared<Options>();
  command->add_option("--threads", o->threads, "of the measurement; 0: one a core")->check(CLI::Range(0, 1024));
  command->add_flag("--json", o->json, "one JSON object instead of the text; sizes in bytes");
  command->footer(
      "The rates are measured, which takes a second or two.\n\nExamples:\n"
      "  kappa doctor\n"
      "  kappa doctor --json --threads 1");
  command->callback([o] {
    set_threads(o->threads);
    const Examination examination{.machine = this_machine(),
                                  .build = this_build(),
                                  .product_rate = measure_product_rate(),
                                  .copy_rate = measure_copy_rate(),
                                  .threads = threads()};
    fmt::print("{}", o->json ? to_json(examination).dump(2) + "\n" : to_text(examination));
  });
}

}  // namespace kappa
