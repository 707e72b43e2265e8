#pragma once
// Machine: all that doctor's checks may ask of the computer that they run on. An interface, so that a test can break
// one thing at a time and see it named.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lmsb::cli {

// Kernel features that can only be known by trying.
enum class Feature : std::uint8_t {
  user_namespace,  // making one, as who runs doctor
  seccomp_filter,
  overlay,
  idmapped_mount,  // of /usr, which is what image `host` needs
  cgroup_kill,     // on the v2 hierarchy
  tcp_peer,        // whose socket is at the other end of a TCP connection
};

struct Trial {
  enum class Outcome : std::uint8_t { works, fails, unknown };  // unknown: trying needs root
  Outcome outcome = Outcome::unknown;
  std::string why;  // of fails and unknown
};

struct ProgramOutput {
  int status = 0;      // exit status; 128 + signal
  std::string output;  // of stdout and stderr together; at most 64 KiB
};

// What a throw-away sandbox showed.
struct SandboxTrial {
  bool works = false;
  std::string daemon;                      // "a private daemon", "unix:/run/..."
  std::string why;                         // of a failure: what and why
  std::string hint;                        // what to do about it
  double wall_ms = 0;                      // of `true`, asked over HTTP
  std::string image;                       // the default one
  std::vector<std::string> isolation;      // the layers in force, as GET /v1/info names them
  std::vector<std::string> weaker;         // what the daemon itself found missing, one sentence each
  std::vector<std::string> devices;        // that sandboxes can be given: "nvidia.com/gpu=0"
  std::vector<std::string> device_faults;  // of those that they cannot, and of files that describe some
  bool store_works = true;                 // false: the disk beneath the daemon's store has failed
  bool database_works = true;              // false: it cannot write down what is kept
};

// Methods block, each at most a few seconds (try_sandbox: 60 s). One thread.
class Machine {
 public:
  virtual ~Machine() = default;
  // At most 256 KiB; nothing when it cannot be read.
  virtual std::optional<std::string> read_file(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  // Of the daemon of this machine, unless another one was named.
  virtual std::string data_directory() = 0;
  // Names in a directory; empty when it cannot be read.
  virtual std::vector<std::string> list_directory(const std::string& path) = 0;
  // Runs the program of that name on PATH with no stdin. An Error when there is no such program or the time is over.
  virtual Result<ProgramOutput> run_program(const std::vector<std::string>& argv,
                                            std::chrono::milliseconds timeout) = 0;
  // The body of a 200 answer from a service of this machine; nothing otherwise.
  virtual std::optional<std::string> http_get(const std::string& url, std::chrono::milliseconds timeout) = 0;
  virtual Trial try_feature(Feature feature) = 0;
  // 0: no Landlock.
  virtual int landlock_abi() = 0;
  virtual std::string kernel_release() = 0;
  virtual bool is_root() = 0;
  // Who asked for all this, sudo looked through; "root" for root.
  virtual std::string user_name() = 0;
  // Made once; asked again, it is the same trial.
  virtual SandboxTrial try_sandbox() = 0;
};

}  // namespace lmsb::cli
