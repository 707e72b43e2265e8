// The steps of the original set-up: packages, Docker, the NVIDIA driver and Container Toolkit, llama.cpp, Ollama.
// Sandboxes of the native runtime need none of them.
#include <sstream>

#include "cli/api.h"
#include "cli/doctor.h"

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

constexpr const char* kGroup = "The original's set-up (optional)";
constexpr milliseconds kProgramTimeout{10'000};
constexpr const char* kInstallDocker = "curl -fsSL https://get.docker.com -o get-docker.sh && sudo sh get-docker.sh";

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

bool runs(Machine& machine, const std::vector<std::string>& argv) {
  const auto result = machine.run_program(argv, kProgramTimeout);
  return result.ok() && result->status == 0;
}

// Debian's build-essential is a bundle: its compiler and make are what counts, wherever they come from.
Finding look_packages(Machine& machine) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> wanted{
      {"curl", {"curl", "--version"}},
      {"git", {"git", "--version"}},
      {"build-essential", {"g++", "--version"}},
      {"build-essential", {"make", "--version"}}};
  std::string absent;
  for (const auto& [package, argv] : wanted) {
    if (!runs(machine, argv) && absent.find(package) == std::string::npos) absent += " " + package;
  }
  if (absent.empty()) return {Outcome::ok, ""};
  return {Outcome::missing, "not there:" + absent, "sudo apt install -y" + absent};
}

Finding look_docker(Machine& machine) {
  const auto version = machine.run_program({"docker", "version", "--format", "{{.Server.Version}}"}, kProgramTimeout);
  if (!version.ok()) return {Outcome::missing, "no program docker", kInstallDocker};
  if (version->status == 0) return {Outcome::ok, "engine " + first_line(version->output)};
  if (version->output.find("permission denied") != std::string::npos) {
    return {Outcome::missing, "the engine is closed to you", "sudo usermod -aG docker ${USER} && newgrp docker"};
  }
  return {Outcome::missing, "docker is there, but no engine answers",
          "sudo systemctl enable --now docker   # or: sudo dockerd &"};
}

// Whether a line of /etc/group names the group and, in its fourth field, the user; nothing when there is no group.
std::optional<bool> is_member(const std::string& groups, const std::string& group, const std::string& user) {
  std::istringstream lines(groups);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(group + ":")) continue;
    std::istringstream members(line.substr(line.rfind(':') + 1));
    for (std::string member; std::getline(members, member, ',');) {
      if (member == user) return true;
    }
    return false;
  }
  return std::nullopt;
}

Finding look_docker_group(Machine& machine) {
  const std::string user = machine.user_name();
  if (user == "root") return {Outcome::not_needed, "root needs no group"};
  const auto member = is_member(machine.read_file("/etc/group").value_or(""), "docker", user);
  if (!member) return {Outcome::missing, "there is no group docker", kInstallDocker};
  if (*member) return {Outcome::ok, user};
  return {Outcome::missing, user + " is not in it",
          "sudo usermod -aG docker ${USER} && newgrp docker   # docker access is root access"};
}

bool has_nvidia_gpu(Machine& machine) {
  const std::string devices = "/sys/bus/pci/devices";
  for (const std::string& device : machine.list_directory(devices)) {
    const std::string directory = devices + "/" + device;
    const bool nvidia = machine.read_file(directory + "/vendor").value_or("").starts_with("0x10de");
    const bool display = machine.read_file(directory + "/class").value_or("").starts_with("0x03");
    if (nvidia && display) return true;
  }
  return false;
}

Finding look_nvidia_driver(Machine& machine) {
  if (const auto version = machine.read_file("/proc/driver/nvidia/version")) return {Outcome::ok, first_line(*version)};
  if (!has_nvidia_gpu(machine)) return {Outcome::not_needed, "no NVIDIA GPU found"};
  return {Outcome::missing, "the GPU is there, its driver is not loaded",
          "sudo apt install -y nvidia-driver && sudo reboot   # Ubuntu: sudo ubuntu-drivers install"};
}

Finding look_nvidia_toolkit(Machine& machine) {
  const auto version = machine.run_program({"nvidia-ctk", "--version"}, kProgramTimeout);
  if (version.ok() && version->status == 0) return {Outcome::ok, first_line(version->output)};
  if (!has_nvidia_gpu(machine)) return {Outcome::not_needed, "no NVIDIA GPU found"};
  return {Outcome::missing, "no program nvidia-ctk",
          "sudo apt install -y nvidia-container-toolkit && sudo nvidia-ctk runtime configure --runtime=docker && "
          "sudo systemctl restart docker   # its package source: docs.nvidia.com, Container Toolkit, Installing"};
}

Finding look_llama_cpp(Machine& machine) {
  const auto version = machine.run_program({"llama-server", "--version"}, kProgramTimeout);
  if (version.ok() && version->status == 0)
    return {Outcome::ok, "llama-server on PATH: " + first_line(version->output)};
  if (machine.exists("/var/lib/lm-sandbox/images/llama/image.json")) return {Outcome::ok, "image llama"};
  const std::string images = "/var/lib/lm-sandbox/images";
  if (machine.exists(images) && !machine.exists(images + "/."))  // closed to users
    return {Outcome::missing, "no llama-server on PATH, and whether there is an image llama only root can see",
            "sudo lm-sandbox doctor"};
  return {Outcome::missing, "no llama-server on PATH and no image llama", "sudo lm-sandbox image build llama"};
}

Finding look_ollama(Machine& machine) {
  const auto answer = machine.http_get("http://127.0.0.1:11434/api/version", milliseconds(2000));
  if (answer) {
    const auto json = parse_json(*answer, "Ollama's answer");
    return {Outcome::ok, json.ok() ? "version " + text_field(json->root(), "version") : "it answers"};
  }
  if (runs(machine, {"ollama", "--version"})) return {Outcome::missing, "installed, but not running", "ollama serve &"};
  return {Outcome::missing, "nobody answers at 127.0.0.1:11434", "curl -fsSL https://ollama.com/install.sh | sh"};
}

}  // namespace

std::vector<Check> original_checks() {
  return {
      {"original.packages", kGroup, "packages curl, git, build-essential", look_packages},
      {"original.docker", kGroup, "Docker's engine answers", look_docker},
      {"original.docker_group", kGroup, "you are in group docker", look_docker_group},
      {"original.nvidia_driver", kGroup, "NVIDIA driver", look_nvidia_driver},
      {"original.nvidia_toolkit", kGroup, "NVIDIA Container Toolkit", look_nvidia_toolkit},
      {"original.llama_cpp", kGroup, "llama.cpp", look_llama_cpp},
      {"original.ollama", kGroup, "Ollama answers", look_ollama},
  };
}

}  // namespace lmsb::cli
