#include "train/cli/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kappa {
namespace {

constexpr double gib = 1 << 30;

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

std::string why_not_cuda(const Machine& m, const Build& build) {
  if (build.cuda.empty()) return "this program was built without CUDA";
  if (m.cuda.gpus.empty()) return m.cuda.error;
  return "the model's ops have no kernels there yet";
}

void advise_on_gpus(const Machine& m, const Build& build, std::vector<Advice>& advice) {
  if (m.cuda.cards > 0 && m.cuda.gpus.empty())
    advice.push_back({fmt::format("{} NVIDIA card{}, but {}", m.cuda.cards, m.cuda.cards == 1 ? "" : "s", m.cuda.error),
                      "install NVIDIA's driver (Debian: package nvidia-driver of contrib and non-free; Ubuntu: ubuntu-drivers "
                      "install), then restart the machine"});
  if (m.cuda.gpus.empty() || !build.cuda.empty()) return;
  if (m.cuda.toolkit.empty())
    advice.push_back(
        {"a GPU, but no CUDA toolkit",
         "install CUDA 12 or later (NVIDIA's package cuda-toolkit; Debian 12's nvidia-cuda-toolkit is too old), then "
         "build again: cmake --preset cuda && cmake --build --preset cuda"});
  else
    advice.push_back({"a GPU and a CUDA toolkit, but a program without CUDA",
                      "build again: cmake --preset cuda && cmake --build --preset cuda"});
}

}  // namespace

Diagnosis diagnose(const Machine& m, const Build& build) {
  const std::string cuda = why_not_cuda(m, build);
  Diagnosis d;
  d.abilities = {{"training, audits, generation on the CPU", true, ""},
                 {"the same on an NVIDIA GPU (--device cuda)", cuda.empty(), cuda},
                 {"training on several GPUs or machines", false, "not there yet"}};
  if (build.blas.find("OpenBLAS") == std::string::npos)
    d.advice.push_back({"OpenBLAS: matrix products are slower without it", "apt install libopenblas-dev, then build again"});
  for (const auto& [codec, package] : build.codecs_left_out)
    d.advice.push_back({fmt::format("Parquet files compressed with {} are refused", codec),
                        fmt::format("apt install {}, then build again", package)});
  if (!m.has_bible) d.advice.push_back({"the quick start's text", "apt install bible-kjv"});
  if (m.processor.limit > 0 && m.processor.limit < m.processor.threads)
    d.advice.push_back({fmt::format("this container may use {:.3g} of the {} threads", m.processor.limit, m.processor.threads),
                        fmt::format("give --threads {}", std::max(1.0, std::floor(m.processor.limit)))});
  advise_on_gpus(m, build, d.advice);
  return d;
}

std::string to_text(const Examination& e) {
  const Machine& m = e.machine;
  const Processor& p = m.processor;
  std::string text;
  const auto line = [&](const char* name, const std::string& what) { text += fmt::format("{:<10} {}\n", name, what); };
  line("kappa", fmt::format("{} ({}), {}", e.build.version, e.build.commit, e.build.compiler));
  line("processor", fmt::format("{}: {} cores, {} threads", p.name.empty() ? "unknown" : p.name, p.cores, p.threads));
  line("wide", p.wide.empty() ? "no wide instructions" : fmt::format("{}", fmt::join(p.wide, ", ")));
  line("products",
       fmt::format("{:.1f} GFLOP/s in float32 with {} threads, by {}", e.product_rate / 1e9, e.threads, e.build.blas));
  line("copies", fmt::format("{:.1f} GB/s read and written", e.copy_rate / 1e9));
  line("memory", fmt::format("{:.1f} of {:.1f} GiB free", double(m.memory_free) / gib, double(m.memory) / gib));
  line("disk", fmt::format("{:.1f} GiB free in {}", double(m.disk_free) / gib, m.folder.string()));
  line("CUDA", fmt::format("built with: {}; toolkit: {}; driver: {}{}", or_none(e.build.cuda), or_none(m.cuda.toolkit),
                           or_none(m.cuda.driver),
                           m.cuda.driver_supports.empty() ? "" : fmt::format(", for CUDA up to {}", m.cuda.driver_supports)));
  for (const Gpu& gpu : m.cuda.gpus)
    line("GPU",
         fmt::format("{}, {:.1f} GiB, compute capability {}.{}", gpu.name, double(gpu.memory) / gib, gpu.major, gpu.minor));
  if (m.cuda.gpus.empty()) line("GPU", fmt::format("none: {}", m.cuda.error));
  line("NCCL", or_none(m.nccl));
  line("MPI", or_none(m.mpi));
  const Diagnosis d = diagnose(m, e.build);
  text += "\nwill it run?\n";
  for (const Ability& a : d.abilities)
    text += fmt::format("  {:<3}  {}{}\n", a.works ? "yes" : "no", a.what, a.works ? "" : ": " + a.why);
  text += d.advice.empty() ? "\nnothing is missing\n" : "\nwhat could be better\n";
  for (const Advice& a : d.advice) text += fmt::format("  {}: {}\n", a.missing, a.what_to_do);
  return text;
}

nlohmann::ordered_json to_json(const Examination& e) {
  using Json = nlohmann::ordered_json;
  const Machine& m = e.machine;
  const Diagnosis d = diagnose(m, e.build);
  Json gpus = Json::array(), abilities = Json::array(), advice = Json::array();
  for (const Gpu& gpu : m.cuda.gpus)
    gpus.push_back(
        Json{{"name", gpu.name}, {"memory", gpu.memory}, {"compute_capability", fmt::format("{}.{}", gpu.major, gpu.minor)}});
  for (const Ability& a : d.abilities) abilities.push_back(Json{{"what", a.what}, {"works", a.works}, {"why", a.why}});
  for (const Advice& a : d.advice) advice.push_back(Json{{"missing", a.missing}, {"what_to_do", a.what_to_do}});
  return {{"kappa",
           {{"version", e.build.version}, {"commit", e.build.commit}, {"compiler", e.build.compiler}, {"cuda", e.build.cuda}}},
          {"processor",
           {{"name", m.processor.name},
            {"cores", m.processor.cores},
            {"threads", m.processor.threads},
            {"thread_limit", m.processor.limit},
            {"wide_instructions", m.processor.wide}}},
          {"products", {{"library", e.build.blas}, {"threads", e.threads}, {"gflop_per_second", e.product_rate / 1e9}}},
          {"copies", {{"gb_per_second", e.copy_rate / 1e9}}},
          {"memory", {{"total", m.memory}, {"free", m.memory_free}}},
          {"disk", {{"folder", m.folder.string()}, {"free", m.disk_free}}},
          {"cuda",
           {{"toolkit", m.cuda.toolkit},
            {"driver", m.cuda.driver},
            {"driver_supports", m.cuda.driver_supports},
            {"cards", m.cuda.cards},
            {"gpus", gpus},
            {"error", m.cuda.error}}},
          {"nccl", m.nccl},
          {"mpi", m.mpi},
          {"will_it_run", abilities},
          {"what_could_be_better", advice}};
}

}  // namespace kappa
