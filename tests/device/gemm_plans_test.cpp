#include "engine/device/gemm_plans.h"

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/cuda/runtime.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace kappa;
using namespace kappa::test;

TEST_CASE("gemm plans: text and back") {
  GemmPlans plans;
  const GemmShape shape{.m = 2048, .n = 3072, .k = 768, .transpose_b = true, .batch = 64};
  const std::string key = GemmPlans::key(DType::bf16, DType::f32, shape, true, true);
  CHECK(key == "bfloat16,float32 m=2048 n=3072 k=768 batch=64 a=n b=t beta=1 aligned=1");
  CHECK_FALSE(plans.find(key));
  plans.set(key, {1, 2, 3, 4, 5, 6, 7, 0xfedcba9876543210u});
  plans.set("other", {});
  const std::string text = plans.text("library 1 on GPU 2");

  GemmPlans again;
  REQUIRE(again.load(text, "library 1 on GPU 2", "file"));
  CHECK(again.size() == 2);
  CHECK(again.find(key) == plans.find(key));
  CHECK(again.text("library 1 on GPU 2") == text);

  GemmPlans elsewhere;
  CHECK_FALSE(elsewhere.load(text, "library 2 on GPU 2", "file"));  // its algorithms mean nothing there
  CHECK(elsewhere.size() == 0);
}

TEST_CASE("gemm plans: a run keeps its own, and begins with them") {
  const TempFolder folder;
  const auto file = folder.path() / "gemm_plans.txt";
  const GemmPlans::Algorithm first{1}, second{2}, other{3};
  GemmPlans run;
  run.set("before", first);
  REQUIRE(run.keep(file, "library on GPU"));
  run.set("after", second);
  CHECK(read_file(file) == run.text("library on GPU"));

  GemmPlans resumed;
  resumed.set("before", other);  // what is in the file was there first
  REQUIRE(resumed.keep(file, "library on GPU"));
  CHECK(resumed.find("before") == first);
  CHECK(resumed.find("after") == second);

  GemmPlans moved;
  CHECK_FALSE(moved.keep(file, "library on another GPU"));
  CHECK(moved.size() == 0);
  moved.set("before", other);
  CHECK(read_file(file) == moved.text("library on another GPU"));

  write_file(file, "library on GPU\nbefore 0");
  CHECK_THROWS_WITH(GemmPlans().keep(file, "library on GPU"), contains("gemm_plans.txt: line 2: not ended; the file is cut off"));
  CHECK(keep_gemm_plans(Device::cpu, file));  // where nothing is to be chosen nothing is looked at
}

TEST_CASE("gemm plans: a text that is none is named with its line") {
  GemmPlans plans;
  CHECK_THROWS_WITH(plans.load("library\nshape 12\n", "library", "run/plans"), contains("run/plans: line 2: expected a shape"));
  CHECK_THROWS_WITH(plans.load("library\nshape", "library", "plans"), contains("plans: line 2: not ended"));
  CHECK_THROWS_AS(plans.load("library\ns " + std::string(127, '0') + "g\n", "library", "plans"), InputError);
  CHECK(plans.size() == 0);
}

TEST_CASE("cuda: what keeps the program from a GPU is said in one line") {
  using cuda::Facts;
  using cuda::obstacle;
  const Facts fine{.toolkit = 13000, .driver = 13010, .devices = 1, .name = "GPU", .major = 9, .minor = 0};
  CHECK(obstacle(fine).empty());
  CHECK(obstacle({.toolkit = 13000, .driver = 0, .devices = 0}) ==
        "--device cuda: no NVIDIA driver found; --device cpu needs none");
  CHECK(obstacle({.toolkit = 13000, .driver = 12040, .devices = 1}) ==
        "--device cuda: the NVIDIA driver is too old: it knows CUDA 12.4, this program needs 13.0");
  CHECK(obstacle({.toolkit = 13000, .driver = 13000, .devices = 0}) ==
        "--device cuda: the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES hides some)");
  Facts old = fine;
  old.name = "A100", old.major = 8;
  CHECK(obstacle(old) == "--device cuda: A100 has compute capability 8.0, this program needs 9.0 (Hopper) or later");
}
