// The floors of docs/benchmarks.md: what the kernel alone costs, and the same launch plan without HTTP.
//
//     floor spawn  SECONDS PROGRAM [ARGUMENT...]      posix_spawn and wait
//     floor cgroup SECONDS                            make, enter, kill, remove a directory of the v2 hierarchy
//     floor launch SECONDS CONCURRENCY LIFETIME IMAGE IMAGE_ROOT GUEST SHELL COMMAND    (launch_loop.h)
//
// Prints one JSON object. `cgroup` and `launch` need root.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch_loop.h"
#include "samples.h"

namespace lmsb::bench {
namespace {

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "floor: {}\n", what);
  ::_exit(1);
}

void spawn_and_wait(char** argv, const posix_spawn_file_actions_t& quiet) {
  pid_t pid = -1;
  if (::posix_spawnp(&pid, argv[0], &quiet, nullptr, argv, environ) != 0) fail(std::string("start ") + argv[0]);
  ::waitpid(pid, nullptr, 0);
}

template <class Body>
int repeat(double seconds, Body body) {
  Samples samples;
  for (const double end = now_ms() + seconds * 1e3; now_ms() < end;) {
    const double begin = now_ms();
    body();
    samples.add(now_ms() - begin);
  }
  fmt::print("{{{}}}\n", samples.json());
  return 0;
}

int measure_spawn(double seconds, char** argv) {
  posix_spawn_file_actions_t quiet;
  ::posix_spawn_file_actions_init(&quiet);
  ::posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
  return repeat(seconds, [argv, &quiet] { spawn_and_wait(argv, quiet); });
}

std::string v2_mount() {
  for (const char* path : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"})
    if (::access((std::string(path) + "/cgroup.procs").c_str(), F_OK) == 0) return path;
  fail("no cgroup v2 mount");
}

void write_file(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0 || ::write(fd, text.data(), text.size()) < 0) fail("write " + path);
  ::close(fd);
}

// A child is there for each round already: what is measured is the cgroup's own cost, as an exec has it.
int measure_cgroup(double seconds) {
  const std::string directory = v2_mount() + "/lmsb-bench-" + std::to_string(::getpid());
  Samples samples;
  for (const double end = now_ms() + seconds * 1e3; now_ms() < end;) {
    const pid_t child = ::fork();
    if (child == 0)
      for (;;) ::pause();
    const double begin = now_ms();
    if (::mkdir(directory.c_str(), 0755) < 0) fail("make " + directory);
    write_file(directory + "/cgroup.procs", std::to_string(child));
    write_file(directory + "/cgroup.kill", "1");
    ::waitpid(child, nullptr, 0);
    while (::rmdir(directory.c_str()) < 0 && errno == EBUSY) {
    }
    samples.add(now_ms() - begin);
  }
  fmt::print("{{{}}}\n", samples.json());
  return 0;
}

int measure_launch(double seconds, char** argv) {
  LaunchLoopOptions options;
  options.seconds = seconds;
  options.concurrency = static_cast<std::size_t>(std::atoi(argv[0]));
  options.kept = std::strcmp(argv[1], "kept") == 0;
  options.image = argv[2];
  options.image_root = argv[3];
  options.guest_program = argv[4];
  options.shell = argv[5];
  options.command = argv[6];
  auto result = run_launch_loop(options);
  if (!result.ok()) fail(result.error().message());
  fmt::print("{}\n", *result);
  return 0;
}

int run(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  const double seconds = argc > 2 ? std::atof(argv[2]) : 0;
  if (mode == "spawn" && argc > 3) return measure_spawn(seconds, argv + 3);
  if (mode == "cgroup") return measure_cgroup(seconds);
  if (mode == "launch" && argc == 10) return measure_launch(seconds, argv + 3);
  fail("usage: the head of bench/floor.cc");
}

}  // namespace
}  // namespace lmsb::bench

int main(int argc, char** argv) { return lmsb::bench::run(argc, argv); }
